"""A module as an ONNX file whose tensors are called as the module's parameters."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import onnxscript.optimizer
import torch
from torch import nn

from ..errors import ModelError

Inputs = Any


def export(module: nn.Module, example_inputs: Inputs) -> bytes:
    """Export a module in evaluation mode, every parameter under its own name.

    Parameters
    ----------
    module : torch.nn.Module
        The network, on any device; it is left as it is.
    example_inputs : tensor, tuple of tensors, or dict of tensors by argument
        What the network is called with.

    Returns
    -------
    bytes
        The model's message.
    """
    copy = deepcopy(module).cpu().eval()
    args, kwargs = call_arguments(example_inputs)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            # The exporter warns of its own deprecated calls.
            warnings.simplefilter("ignore")
            # PyTorch's own optimisation would put constants in the place of parameters.
            program = torch.onnx.export(
                copy, args, kwargs=kwargs, dynamo=True, optimize=False, verbose=False
            )
            if program is not None:
                _simplify(program.model, set(copy.state_dict()))
    except Exception as error:
        raise ModelError(
            f"cannot export `{type(module).__name__}`: {_first_line(error)}",
            "`torch.onnx.export(module, example_inputs, dynamo=True)` shows what PyTorch does not "
            "export",
        ) from error
    if program is None:
        raise ModelError(f"cannot export `{type(module).__name__}`: PyTorch gave no program")
    message: bytes = program.model_proto.SerializeToString()
    return message


def _simplify(model: Any, parameters: set[str]) -> None:
    """Fold what is computed from constants, but leave every parameter where it is.

    They are inputs while the graph is simplified: so none is folded, and no batch norm is merged
    into a convolution.
    """
    graph = model.graph
    held = {name: value for name, value in graph.initializers.items() if name in parameters}
    tensors = {name: value.const_value for name, value in held.items()}
    for name, value in held.items():
        value.const_value = None
        del graph.initializers[name]
        graph.inputs.append(value)
    onnxscript.optimizer.optimize_ir(model)
    for name, value in held.items():
        graph.inputs.remove(value)
        value.const_value = tensors[name]
        graph.register_initializer(value)


def call_arguments(example_inputs: Inputs) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and named arguments, on the host."""
    if isinstance(example_inputs, Mapping):
        return (), {str(name): _on_host(value) for name, value in example_inputs.items()}
    if isinstance(example_inputs, (tuple, list)):
        return tuple(_on_host(value) for value in example_inputs), {}
    return (_on_host(example_inputs),), {}


def _on_host(value: Any) -> Any:
    return value.detach().cpu() if isinstance(value, torch.Tensor) else value


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
