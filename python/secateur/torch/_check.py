"""A narrowed module held against the pruned file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from os import PathLike
from typing import Any

import numpy as np
import torch
from torch import nn

from .._report import Network
from ..errors import ModelError
from ._export import Inputs, call_arguments

# Of the largest output: both sum the same terms in 32 bits, in another order.
TOLERANCE = 1e-4


def check(module: nn.Module, example_inputs: Inputs, network: Network) -> None:
    """See that a module runs, and gives what the pruned file gives.

    Raises
    ------
    ModelError
        Naming the layer that does not run, or how far the outputs are apart.
    """
    away = apart(module, example_inputs, network.path)
    if away > TOLERANCE:
        raise ModelError(
            "cannot narrow the module: its outputs are not those of the pruned file, but "
            f"{away:.1e} of the largest apart",
            "leave the layers with sizes of their own alone with `ignore`",
        )


def apart(module: nn.Module, example_inputs: Inputs, file: str | bytes | PathLike[str]) -> float:
    """How far a module's outputs are from a file's (:func:`difference`); 0 without ONNX Runtime.

    Raises
    ------
    ModelError
        As :func:`run`.
    """
    outputs = run(module, example_inputs)
    expected = in_onnxruntime(file, example_inputs)
    return 0.0 if expected is None else difference(expected, outputs)


def run(module: nn.Module, example_inputs: Inputs) -> list[np.ndarray[Any, Any]]:
    """The outputs of a module in evaluation mode, on the host.

    Raises
    ------
    ModelError
        Naming the innermost layer that does not run.
    """
    copy = deepcopy(module).cpu().eval()
    args, kwargs = call_arguments(example_inputs)
    # Layers that are being run, by name.
    running: list[str] = []
    for name, layer in copy.named_modules():
        if name:
            layer.register_forward_pre_hook(lambda *_, name=name: running.append(name))
            layer.register_forward_hook(lambda *_: running.pop() and None)
    try:
        with torch.no_grad():
            outputs = copy(*args, **kwargs)
    except Exception as error:
        where = f"in `{running[-1]}`" if running else "in the module's own `forward`"
        raise ModelError(
            f"cannot narrow the module: with fewer channels it does not run, {where}: {error}",
            "sizes are written into its code: leave the layers before that alone with `ignore`",
        ) from error
    return [output.numpy() for output in _flat(outputs)]


def _flat(outputs: Any) -> Iterator[torch.Tensor]:
    """Tensors in the order in which they are exported."""
    if isinstance(outputs, torch.Tensor):
        yield outputs
    elif isinstance(outputs, Mapping):
        for value in outputs.values():
            yield from _flat(value)
    elif isinstance(outputs, (tuple, list)):
        for value in outputs:
            yield from _flat(value)


def in_onnxruntime(
    file: str | bytes | PathLike[str], example_inputs: Inputs
) -> list[np.ndarray[Any, Any]] | None:
    """The outputs of a file, or of its bytes; None without ONNX Runtime."""
    try:
        import onnxruntime  # type: ignore[import-untyped]
    except ImportError:
        return None
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    args, kwargs = call_arguments(example_inputs)
    given = [value.numpy() for value in _flat([*args, *kwargs.values()])]
    names = [one.name for one in session.get_inputs()]
    found: list[np.ndarray[Any, Any]] = session.run(None, dict(zip(names, given)))
    return found


def difference(expected: list[np.ndarray[Any, Any]], found: list[np.ndarray[Any, Any]]) -> float:
    """The largest difference, as share of the largest output; infinite for other shapes."""
    apart = 0.0
    if len(expected) != len(found):
        return float("inf")
    for one, other in zip(expected, found):
        if one.shape != other.shape:
            return float("inf")
        scale = float(np.abs(one).max(initial=0.0)) or 1.0
        largest = float(np.abs(one - other).max(initial=0.0)) / scale
        apart = max(apart, largest if np.isfinite(largest) else float("inf"))
    return apart
