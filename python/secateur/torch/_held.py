"""Layers whose kernels stay, as the code of a module does not go along with fewer."""

from __future__ import annotations

import warnings
from typing import Any

from .. import _secateur
from ..errors import ModelError
from ._check import TOLERANCE, apart
from ._export import Inputs
from ._narrow import Narrowing, listed


def with_held(
    narrowing: Narrowing, message: bytes, example_inputs: Inputs, arguments: dict[str, Any]
) -> dict[str, Any]:
    """The arguments of a run that leaves alone what the module's code holds, with a warning.

    A file can be narrower than the code of its module allows: sizes are written into it, halves
    are taken for equal. That shows when kernels are taken out on trial, before a run begins.

    Raises
    ------
    ModelError
        For a module whose outputs are not those of its own file, and where no layer could go.
    """
    ignored = arguments.get("ignore") or []
    ignored = [ignored] if isinstance(ignored, str) else list(ignored)
    allows_mixing = bool(arguments.get("allow_mixing"))
    trials = _Trials(narrowing, _secateur.Trials(message, allows_mixing, ignored), example_inputs)
    trials.check_whole(message)
    groups = trials.groups()
    held = trials.failing(list(groups))
    if not held:
        return arguments
    reason = trials.reason
    if reason is not None and len(held) == len(groups):
        raise reason
    layers = sorted({layer for group in held for layer in groups[group]})
    own = narrowing.layers()
    names = listed([own.get(layer, layer) for layer in layers])
    warnings.warn(
        f"{names} keep their kernels, as the module does not go along with fewer ({reason})",
        stacklevel=4,
    )
    return {**arguments, "ignore": [*ignored, *layers]}


class _Trials:
    """Takes kernels out of a module's file, and sees what becomes of the module."""

    def __init__(
        self, narrowing: Narrowing, trials: _secateur.Trials, example_inputs: Inputs
    ) -> None:
        #: What was wrong with the groups that failed last.
        self.reason: ModelError | None = None
        self._narrowing = narrowing
        self._trials = trials
        self._inputs = example_inputs

    def groups(self) -> dict[int, list[str]]:
        """The layers of each channel group whose kernels may go."""
        return dict(self._trials.groups())

    def check_whole(self, message: bytes) -> None:
        """The module as it is has to give what its file gives."""
        away = apart(self._narrowing.module, self._inputs, message)
        if away > TOLERANCE:
            raise ModelError(
                "cannot prune the module: its outputs are not those of its own ONNX file, but "
                f"{away:.1e} of the largest apart",
                "chance or the data decide what its `forward` does; prune the part that always "
                "does the same",
            )

    def failing(self, tried: list[int]) -> list[int]:
        """The groups that cannot be narrowed, of some that are tried together."""
        if not tried or self._go(tried):
            return []
        if len(tried) == 1:
            return tried
        middle = len(tried) // 2
        found = self.failing(tried[:middle]) + self.failing(tried[middle:])
        # Groups that fail only together are all left alone.
        return found or tried

    def _go(self, groups: list[int]) -> bool:
        file = self._trials.without_first(groups)
        try:
            small = self._narrowing.narrowed(file, on_trial=True)
            away = apart(small, self._inputs, file)
        except ModelError as error:
            self.reason = error
            return False
        if away > TOLERANCE:
            self.reason = ModelError(
                f"its outputs are then {away:.1e} of the largest from those of its file"
            )
        return away <= TOLERANCE
