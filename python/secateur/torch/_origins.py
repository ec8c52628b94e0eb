"""Weights that a file only lays out in another way than the module keeps them.

Pruning stores what is computed from parameters in place of the computation. Where that only puts
axes in another order or adds some of one element, it can be undone: the parameter is found behind
it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import torch

Shape = tuple[int, ...]

# Operators that give the elements of their first input in the same order.
_SAME_ORDER = ("Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten")


@dataclass(frozen=True)
class Step:
    """A change of layout."""

    #: Extents before it.
    shape: Shape
    #: The order of the axes, if it puts them in another.
    order: Shape | None


@dataclass(frozen=True)
class Origin:
    """Where a tensor comes from.

    Attributes
    ----------
    parameter : str
        Name of what the file stores.
    steps : tuple of Step
        What was done to it.
    shape : tuple of int
        Extents of the result.
    """

    parameter: str
    steps: tuple[Step, ...]
    shape: Shape

    def undone(self, values: torch.Tensor) -> torch.Tensor | None:
        """The parameter of which narrower `values` are the result; None where axes were merged."""
        shape = self.shape
        for step in reversed(self.steps):
            if step.order is not None:
                values = values.permute(*np.argsort(step.order).tolist())
            else:
                narrowed = _narrowed(step.shape, shape, tuple(values.shape))
                if narrowed is None:
                    return None
                values = values.reshape(narrowed)
            shape = step.shape
        return values

    def redone(self, values: torch.Tensor) -> torch.Tensor | None:
        """The result for a narrower parameter; None where axes were merged."""
        shapes = [step.shape for step in self.steps[1:]] + [self.shape]
        for step, shape in zip(self.steps, shapes):
            if step.order is not None:
                values = values.permute(*step.order)
            else:
                narrowed = _narrowed(shape, step.shape, tuple(values.shape))
                if narrowed is None:
                    return None
                values = values.reshape(narrowed)
        return values


def origins(model: onnx.ModelProto, stored: dict[str, torch.Tensor]) -> dict[str, Origin]:
    """What of a graph is a stored tensor in another layout, by name."""
    found = {name: Origin(name, (), tuple(values.shape)) for name, values in stored.items()}
    shapes = {
        value.name: tuple(dim.dim_value for dim in value.type.tensor_type.shape.dim)
        for value in model.graph.value_info
    }
    for node in model.graph.node:
        source = found.get(node.input[0]) if node.input else None
        if source is None or len(node.output) != 1:
            continue
        step = _step(node, source.shape)
        if step is None:
            continue
        name = node.output[0]
        shape = _shape_after(step, shapes.get(name))
        if shape is not None:
            found[name] = Origin(source.parameter, (*source.steps, step), shape)
    return {name: origin for name, origin in found.items() if origin.steps}


def _step(node: onnx.NodeProto, shape: Shape) -> Step | None:
    if node.op_type in _SAME_ORDER:
        return Step(shape, None)
    if node.op_type == "Transpose":
        given = [tuple(a.ints) for a in node.attribute if a.name == "perm"]
        return Step(shape, given[0] if given else tuple(reversed(range(len(shape)))))
    return None


def _shape_after(step: Step, stated: Shape | None) -> Shape | None:
    if step.order is not None:
        return tuple(step.shape[axis] for axis in step.order)
    is_stated = stated is not None and np.prod(stated) == np.prod(step.shape)
    return stated if is_stated else None


def _narrowed(before: Shape, after: Shape, now: Sequence[int]) -> Shape | None:
    """What became of the extents `before` a change of layout, if those `after` it are `now`.

    It serves both ways: a layout is changed back by the same rule.
    """
    long_before = [extent for extent in before if extent != 1]
    left = [(extent, new) for extent, new in zip(after, now) if extent != 1]
    if long_before != [extent for extent, _ in left]:
        return None
    new = iter([new for _, new in left])
    return tuple(1 if extent == 1 else next(new) for extent in before)
