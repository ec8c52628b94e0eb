"""The module that a pruned file describes."""

from __future__ import annotations

import warnings
from copy import deepcopy
from typing import Any, TypeVar

import numpy as np
import onnx
import torch
from torch import nn

from .. import _models, _secateur
from .._report import Network
from ..errors import ModelError
from ._layers import set_sizes
from ._origins import Origin, origins

Module = TypeVar("Module", bound=nn.Module)
Tensors = dict[str, torch.Tensor]


def narrow(module: Module, network: Network | _models.Model, original: Any = None) -> Module:
    """Make the module that a pruned file describes.

    Parameters
    ----------
    module : torch.nn.Module
        The module that was exported (:func:`export`) and pruned; it is left as it is.
    network : Network, path, bytes or onnx.ModelProto
        What was made of it.
    original : path, bytes or onnx.ModelProto, optional
        The file that was pruned; a `Network` knows its own.

    Returns
    -------
    torch.nn.Module
        A module of the same class with narrower layers.

    Raises
    ------
    ModelError
        For parameters that cannot be matched, by their names.
    """
    if isinstance(network, Network):
        original, network = network._report._model, network.path
    if original is None:
        raise ModelError(
            "cannot narrow a module: the file that was pruned is not known",
            "give it as `original`",
        )
    small: Module = Narrowing(module, original).narrowed(network)
    return small


class Narrowing:
    """Makes modules of one module from files that were pruned from its own."""

    def __init__(self, module: nn.Module, original: _models.Model) -> None:
        given = _message(original)
        self.module = module
        self._given = _tensors(given)
        self._nodes = list(given.graph.node)
        self._before = _tensors(_message(_secateur.prepared(given.SerializeToString())))
        self._origins = origins(given, self._given)

    def narrowed(self, network: _models.Model, on_trial: bool = False) -> Any:
        """The module that a file describes; without a warning if it is only tried."""
        pruned = _message(network)
        norms = [node for node in pruned.graph.node if node.op_type == "InstanceNormalization"]
        filling = {name for node in norms for name in node.input[1:]}
        weights = _Weights(self._before, _tensors(pruned), self._origins, filling)
        small = deepcopy(self.module)
        taken = _Taken(small, weights)
        taken.check(weights)
        if taken.missing and not on_trial:
            warnings.warn(
                f"{listed(taken.missing)} are not in the file and stay as they are: they take no "
                "part in evaluation, or are what unchanged weights are computed from",
                stacklevel=3,
            )
        for name, values in taken.values.items():
            _put(small, name, values)
        groups = {**_groups(pruned), **self._groups_of_norms(pruned)}
        for path, layer in small.named_modules():
            set_sizes(layer, groups.get(f"{path}.weight" if path else "weight"))
        return small

    def _groups_of_norms(self, pruned: onnx.ModelProto) -> dict[str, int]:
        """Groups of the group norms that a file writes as instance norms, by their scale's name."""
        tensors = {one.name: one for one in pruned.graph.initializer}
        readers = {name: node for node in pruned.graph.node for name in node.input}
        groups = {}
        for node in pruned.graph.node:
            if node.op_type != "InstanceNormalization" or node.input[1] not in tensors:
                continue
            after = readers.get(node.output[0])
            while after is not None and after.op_type == "Reshape":
                after = readers.get(after.output[0])
            if after is not None and after.op_type == "Mul":
                for tensor in after.input:
                    groups[self.source(tensor)[0]] = tensors[node.input[1]].dims[0]
        return groups

    def layers(self) -> dict[str, str]:
        """The module's own names of the file's layers."""
        own = {}
        for node in self._nodes:
            paths = [self.source(tensor)[0].rpartition(".")[0] for tensor in node.input[1:]]
            own[node.name] = next((path for path in paths if path), node.name)
        return own

    def stored(self, network: _models.Model) -> Tensors:
        """The tensors of a file."""
        return _tensors(_message(network))

    def is_constant(self, tensor: str) -> bool:
        """True for what the module's own file stores: no parameter, but a number of its code."""
        return self.source(tensor)[0] in self._given

    def holds(self, parameter: str) -> bool:
        """True if the file has a tensor of the parameter, as it is or laid out."""
        laid_out = (origin.parameter for origin in self._origins.values())
        return parameter in self._before or parameter in laid_out

    def source(self, tensor: str) -> tuple[str, Origin | None]:
        """The parameter that a tensor of a file is, and how it was laid out, if it was."""
        origin = self._origins.get(tensor)
        if origin is not None:
            return origin.parameter, origin
        # Layers that share a constant vector get copies of it, with a number behind its name.
        return tensor.partition("/")[0], None


class _Weights:
    """The tensors of the given file and of the pruned one."""

    def __init__(
        self, before: Tensors, after: Tensors, origins: dict[str, Origin], filling: set[str]
    ) -> None:
        self.after = after
        #: Names of what is a parameter in another layout, by the parameter's.
        self._laid_out = {
            origin.parameter: (name, origin) for name, origin in origins.items() if name in after
        }
        #: Those that were given to a parameter.
        self.matched: set[str] = set()
        #: Those that are not as they were. Whole numbers are sizes, and the scales and shifts of the
        #: instance norms by which group norms are written are ones and zeros: modules make both anew.
        self.changed = {
            name
            for name, values in before.items()
            if name in after
            and values.is_floating_point()
            and not _equal(values, after[name])
            and not (name in filling and _fill_alike(values, after[name]))
        }

    def of(self, names: list[str], shape: torch.Size) -> torch.Tensor | None:
        """The tensor under one of these names, if it can be what is left of that shape."""
        for name in names:
            own, values = name, self.after.get(name)
            if name in self._laid_out:
                own, origin = self._laid_out[name]
                values = origin.undone(self.after[own])
            if values is not None and _fits(values.shape, shape):
                self.matched.update((name, own))
                return values
        return None


class _Taken:
    """What each parameter and buffer of a module becomes."""

    def __init__(self, module: nn.Module, weights: _Weights) -> None:
        self.values: Tensors = {}
        #: Parameters that the file does not have; single numbers such as counters are none.
        self.missing: list[str] = []
        for names, tensor in _tied(module):
            values = weights.of(names, tensor.shape)
            if values is None:
                if tensor.numel() > 1:
                    self.missing.append(names[0])
                continue
            # One object for all of its names: what was tied stays tied.
            new = values.to(dtype=tensor.dtype, device=tensor.device)
            if isinstance(tensor, nn.Parameter):
                new = nn.Parameter(new, requires_grad=tensor.requires_grad)
            self.values.update(dict.fromkeys(names, new))

    def check(self, weights: _Weights) -> None:
        """Everything that pruning has changed must have come from a parameter."""
        computed = sorted(weights.changed - weights.matched)
        if computed and self.missing:
            raise ModelError(
                "cannot narrow the module: no tensors of the pruned file are "
                f"{listed(self.missing)}; the file has {listed(computed)} instead, which the "
                "module computes",
                "store what is computed (`torch.nn.utils.parametrize.remove_parametrizations`), or "
                "leave these layers alone with `ignore`",
            )
        if computed:
            raise ModelError(
                f"cannot narrow the module: {listed(computed)} of the pruned file are no "
                "parameters of it",
                "register them as buffers, or leave the layers that read them alone with `ignore`",
            )


def _message(model: Any) -> onnx.ModelProto:
    if isinstance(model, onnx.ModelProto):
        return model
    given = _models.to_input(model)
    return onnx.load_from_string(given) if isinstance(given, bytes) else onnx.load(given)


def _tensors(model: onnx.ModelProto) -> Tensors:
    arrays = {one.name: onnx.numpy_helper.to_array(one) for one in model.graph.initializer}
    # Types of PyTorch's own, such as bfloat16, are numbers of another kind here.
    known = {name: array for name, array in arrays.items() if array.dtype.kind in "fiub"}
    return {name: torch.from_numpy(np.array(array)) for name, array in known.items()}


def _equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one, other)


def _fill_alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    """True for vectors that hold nothing but the same number."""
    is_vector = one.dim() == other.dim() == 1 and min(one.numel(), other.numel()) > 0
    return is_vector and bool((one == one[0]).all() and (other == one[0]).all())


def _fits(new: torch.Size, old: torch.Size) -> bool:
    return len(new) == len(old) and all(a <= b for a, b in zip(new, old))


def _tied(module: nn.Module) -> list[tuple[list[str], torch.Tensor]]:
    """Every parameter and buffer once, with all of its names."""
    found: dict[int, tuple[list[str], torch.Tensor]] = {}
    parameters = module.named_parameters(remove_duplicate=False)
    buffers = module.named_buffers(remove_duplicate=False)
    for name, tensor in [*parameters, *buffers]:
        found.setdefault(id(tensor), ([], tensor))[0].append(name)
    return list(found.values())


def _put(module: nn.Module, name: str, values: torch.Tensor) -> None:
    path, _, own = name.rpartition(".")
    owner = module.get_submodule(path)
    if isinstance(values, nn.Parameter):
        owner._parameters[own] = values
    else:
        owner._buffers[own] = values


def _groups(model: onnx.ModelProto) -> dict[str, int]:
    """How many groups the layer that reads a tensor has, where it has some."""
    groups = {}
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name in ("group", "num_groups"):
                groups.update(dict.fromkeys(node.input[1:], attribute.i))
    return groups


def listed(names: list[str]) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(f"`{name}`" for name in names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
