"""How a run goes, for people and for callbacks."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

EpochCallback = Callable[["Epoch"], Any]


@dataclass(frozen=True)
class Epoch:
    """A pruning epoch that has ended.

    Attributes
    ----------
    epoch : int
        Its number in the history, which begins with the given network.
    stage : str
        ``explore``, ``exploit`` or ``recover``.
    quality, loss : float
        On the validation samples that guide the search.
    params, macs, kernels : int
        Size of the network now.
    seconds : float
        How long it took.
    record : dict
        Everything that the history keeps of it (docs/run-folder.md).
    """

    epoch: int
    stage: str
    quality: float
    loss: float
    params: int
    macs: int
    kernels: int
    seconds: float
    record: dict[str, Any]

    @classmethod
    def from_json(cls, text: str) -> Epoch:
        """Of a line of the history."""
        record = json.loads(text)
        size = record["size"]
        own = {name: record[name] for name in ("epoch", "stage", "quality", "loss", "seconds")}
        sizes = {name: size[name] for name in ("params", "macs", "kernels")}
        return cls(**own, **sizes, record=record)


class RunProgress:
    """Told of a pruning run by the extension."""

    def __init__(self, show: bool | None, callback: EpochCallback | None) -> None:
        self._bar = _bar(show, "pruning", total=1.0)
        self._callback = callback
        self._last = ""

    def step(
        self, stage: str, fraction: float, rate: float | None, seconds_left: float | None
    ) -> None:
        if self._bar is None:
            return
        told = [stage] + ([f"{rate:.0f} samples/s"] if rate else []) + [self._last]
        self._bar.n = round(fraction, 4)
        self._bar.set_postfix_str(", ".join(part for part in told if part))

    def epoch(self, text: str) -> None:
        epoch = Epoch.from_json(text)
        self._last = f"quality {100 * epoch.quality:.2f} %, {epoch.params:,} parameters"
        if self._callback is not None:
            self._callback(epoch)

    def preparing(self, what: str) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(what)

    def measuring(self, network: str) -> None:
        if self._bar is not None:
            self._bar.set_postfix_str(f"measuring {network}")

    def measured(self, network: str, number: float, seconds: float) -> None:
        """Every number is shown: the first tells whether the metric does what is meant."""
        if self._bar is not None:
            self._bar.write(f"metric: {number:g} for {network}, in {seconds:.1f} s")

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


class TrainProgress:
    """Told of a training by the extension."""

    def __init__(
        self, show: bool | None, callback: Callable[[int, int, float], Any] | None
    ) -> None:
        self._bar = _bar(show, "training", total=None)
        self._callback = callback

    def step(self, step: int, steps: int, loss: float) -> None:
        if self._bar is not None:
            self._bar.total, self._bar.n = steps, step
            self._bar.set_postfix_str(f"loss {loss:.4f}")
        if self._callback is not None:
            self._callback(step, steps, loss)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


class WorkProgress:
    """Told of the runs of an experiment by the extension."""

    def __init__(self, show: bool | None) -> None:
        self._bar = _bar(show, "comparing", total=None)

    def told(
        self, what: str, title: str, counts: tuple[int, int] | None, error: str | None
    ) -> None:
        if self._bar is None:
            return
        if counts is not None:
            self._bar.n, self._bar.total = counts
        self._bar.set_postfix_str(f"{title}, another process works on it" if counts is None else title)
        if error is not None:
            self._bar.write(f"{title}: failed: {error}")

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _bar(show: bool | None, name: str, total: float | None) -> Any | None:
    """A bar of tqdm, where there is one and somebody looks on."""
    if show is False:
        return None
    try:
        if find_spec("ipywidgets") is None:
            # In a notebook `auto` would warn of what it misses there.
            from tqdm import tqdm
        else:
            from tqdm.auto import tqdm
    except ImportError:
        return None
    looked_at = show or "ipykernel" in sys.modules or sys.stderr.isatty()
    if not looked_at:
        return None
    form = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
    return tqdm(total=total, desc=name, bar_format=form)
