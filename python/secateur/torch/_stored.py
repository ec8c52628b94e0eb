"""Layers that keep their weights, in place of what they compute them from.

A standardised or normalised weight depends on all of a layer's channels: with fewer of them none of
its parameters would give what the file has. So the weight itself becomes the parameter.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules.conv import _ConvNd
from torch.overrides import TorchFunctionMode

from ..errors import ModelError
from ._check import TOLERANCE, difference, run
from ._export import Inputs, call_arguments
from ._narrow import listed

#: The layer that does no more than a function.
_PLAIN = {
    functional.linear: nn.Linear,
    functional.conv1d: nn.Conv1d,
    functional.conv2d: nn.Conv2d,
    functional.conv3d: nn.Conv3d,
}


def with_stored_weights(module: nn.Module, example_inputs: Inputs) -> nn.Module:
    """Make a copy whose layers keep the weights that they compute, with a warning that names them.

    These are convolutions and linear layers that are parametrised
    (``torch.nn.utils.parametrizations.weight_norm``), or whose own ``forward`` computes the weight.
    A module without such layers is returned as it is, and so is one whose outputs are not the same
    with them, as weights depend on the inputs.
    """
    if not _candidates(module):
        return module
    copy = deepcopy(module)
    names = _made_plain(copy, example_inputs)
    if not names or not _alike(module, copy, example_inputs):
        return module
    warnings.warn(
        f"{listed(names)} compute their weights from all of their channels: in the result they keep "
        "the weights themselves, and train as plain layers",
        stacklevel=4,
    )
    return copy


@dataclass
class _Call:
    """What a layer calls its function with."""

    function: Callable[..., torch.Tensor]
    weight: torch.Tensor
    bias: torch.Tensor | None
    #: Stride, padding, dilation and groups of a convolution.
    further: dict[str, Any]


def _made_plain(module: nn.Module, example_inputs: Inputs) -> list[str]:
    """Puts plain layers in the place of those that compute their weights; returns their names."""
    calls = _calls(module, example_inputs)
    plain = {}
    for path, call in calls.items():
        layer = module.get_submodule(path)
        plain[id(layer)] = _plain(layer, call)
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if id(child) in plain:
                setattr(parent, name, plain[id(child)])
    return list(calls)


def _plain(layer: nn.Module, call: _Call) -> nn.Module:
    weight = call.weight
    extents = [tuple(weight.shape[2:])] if call.further else []
    made: nn.Module = _PLAIN[call.function](
        weight.shape[1] * call.further.get("groups", 1),
        weight.shape[0],
        *extents,
        bias=call.bias is not None,
        **call.further,
    )
    # In parts of another name, such as a parametrised layer's, the weight is what is not the bias.
    parts = [one for one in layer.parameters() if one is not layer.bias]
    trains = any(one.requires_grad for one in parts)
    made.weight = nn.Parameter(weight, requires_grad=trains)
    if call.bias is not None:
        made.bias = nn.Parameter(call.bias, requires_grad=call.bias.requires_grad)
    made.to(next(iter(parts), weight).device)
    return made.train(layer.training)


def _candidates(module: nn.Module) -> dict[str, nn.Module]:
    """Layers that may compute their weights: of classes of their own, or with hooks that do."""

    def may(layer: nn.Module) -> bool:
        is_plain = type(layer) in _PLAIN.values() and "weight" in layer._parameters
        return isinstance(layer, (_ConvNd, nn.Linear)) and not is_plain

    return {name: layer for name, layer in module.named_modules() if name and may(layer)}


def _calls(module: nn.Module, example_inputs: Inputs) -> dict[str, _Call]:
    """What the candidates are called with whose weight is no parameter of the module."""
    copy = deepcopy(module).cpu().eval()
    watched = _Watched(copy)
    for name, layer in _candidates(copy).items():
        layer.register_forward_pre_hook(
            lambda layer, inputs, name=name: watched.enter(name, inputs), prepend=True
        )
        layer.register_forward_hook(lambda *_: watched.leave())
    args, kwargs = call_arguments(example_inputs)
    try:
        with torch.no_grad(), watched:
            copy(*args, **kwargs)
    except Exception:
        # What does not run is told by whoever exports it.
        return {}
    return watched.calls


class _Watched(TorchFunctionMode):
    """Sees what layers call their functions with while a module runs."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.calls: dict[str, _Call] = {}
        self._parameters = {id(parameter) for parameter in module.parameters()}
        self._running: list[tuple[str, Sequence[Any]]] = []

    def enter(self, name: str, inputs: Sequence[Any]) -> None:
        self._running.append((name, inputs))

    def leave(self) -> None:
        self._running.pop()

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _PLAIN and self._running:
            name, inputs = self._running[-1]
            given = (_of_linear if func is functional.linear else _of_conv)(*args, **kwargs)
            self._see(name, inputs, func, given)
        return func(*args, **kwargs)

    def _see(self, name: str, inputs: Sequence[Any], func: Any, given: dict[str, Any]) -> None:
        # What the layer pads by itself a plain one would not.
        reads_input = bool(inputs) and given.pop("input") is inputs[0]
        weight, bias = given.pop("weight"), given.pop("bias")
        if reads_input and id(weight) not in self._parameters:
            self.calls[name] = _Call(func, weight.detach().clone(), bias, given)


def _of_linear(input: Any, weight: Any, bias: Any = None) -> dict[str, Any]:
    """The arguments of a linear layer by their names."""
    return dict(locals())


def _of_conv(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> dict[str, Any]:
    """The arguments of a convolution by their names."""
    return dict(locals())


def _alike(one: nn.Module, other: nn.Module, example_inputs: Inputs) -> bool:
    """True if two modules give the same for inputs near to these."""
    args, kwargs = call_arguments(example_inputs)
    chance = torch.Generator().manual_seed(1)

    def near(value: Any) -> Any:
        if not (isinstance(value, torch.Tensor) and value.is_floating_point()):
            return value
        factors = 0.5 + torch.rand(value.shape, generator=chance)
        return value * factors.to(value.dtype)

    inputs: Inputs = {name: near(value) for name, value in kwargs.items()}
    inputs = inputs or tuple(near(value) for value in args)
    try:
        return difference(run(one, inputs), run(other, inputs)) <= TOLERANCE
    except ModelError:
        return False
