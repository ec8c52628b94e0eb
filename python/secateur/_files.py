"""Checking and timing files: verify and bench."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _models, _secateur
from ._onnxruntime import offer
from ._settings import to_threads, to_words

if TYPE_CHECKING:
    import pandas as pd
    from typing_extensions import Unpack

    from ._keywords import LookSettings
    from ._models import Model


@dataclass(frozen=True)
class Check:
    """Something that was checked.

    Attributes
    ----------
    name, detail : str
        What, and its figures.
    passed : bool
        Did it hold?
    """

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True)
class Verdict:
    """Whether a pruned file holds what it promises; true if it does.

    Attributes
    ----------
    checks : tuple of Check
        In order.
    not_compared : str or None
        Why outputs were not compared, if they were not.
    """

    checks: tuple[Check, ...]
    not_compared: str | None = None

    @property
    def passed(self) -> bool:
        """Do all checks hold?"""
        return all(check.passed for check in self.checks)

    def __bool__(self) -> bool:
        return self.passed

    def __repr__(self) -> str:
        marks = {True: "ok    ", False: "FAILED"}
        lines = [f"{marks[check.passed]} {check.name}: {check.detail}" for check in self.checks]
        if self.not_compared is not None:
            lines.append(f"outputs were not compared: {self.not_compared}")
        return "\n".join(lines)


class Bench:
    """Latencies in milliseconds.

    Attributes
    ----------
    rows : list of dict
        One for each model and batch size: ``model``, ``batch``, ``min_ms``, ``median_ms``,
        ``engine``, ``inputs``.
    notes : list of str
        What was left out, and why.
    """

    def __init__(self, rows: list[dict[str, Any]], notes: list[str]) -> None:
        self.rows = rows
        self.notes = notes

    def to_pandas(self) -> pd.DataFrame:
        """A row for each model and batch size."""
        import pandas as pd

        return pd.DataFrame(self.rows)

    def __repr__(self) -> str:
        lines = [
            f"{row['model']}: batch {row['batch']}, {row['median_ms']:.3f} ms (least "
            f"{row['min_ms']:.3f}), {row['engine']}"
            for row in self.rows
        ]
        return "\n".join(lines + [f"note: {note}" for note in self.notes])


def verify(original: Model, small: Model, **settings: Unpack[LookSettings]) -> Verdict:
    """Check that a pruned file holds what it promises.

    Parameters
    ----------
    original : path, bytes or onnx.ModelProto
        The network that was pruned.
    small : as `original`
        What was made of it.
    **settings
        ``input_shape``: sizes of open inputs; ``engine`` and ``ort_lib``: what runs them.

    Returns
    -------
    Verdict
        True if everything holds.
    """
    offer()
    words = to_words(dict(settings))
    text, not_run = _secateur.verify(_models.to_input(original), _models.to_input(small), words)
    checks = [Check(**check) for check in json.loads(text)["checks"]]
    return Verdict(tuple(checks), not_run)


def bench(
    *models: Model,
    batch: int | Sequence[int] = (1, 8, 64),
    rounds: int = 20,
    threads: int | None = None,
    **settings: Unpack[LookSettings],
) -> Bench:
    """Latency by batch size, in ONNX Runtime where it is found, else in tract.

    Parameters
    ----------
    *models : path, bytes or onnx.ModelProto
        Several are timed in turn.
    batch : int or sequence of int
        Batch sizes; a file of fixed batch is timed at its own.
    rounds : int, default 20
        Timed runs of each.
    threads : int, optional
        Threads of the engine.
    **settings
        ``input_shape``: sizes of open inputs; ``engine`` and ``ort_lib``: what runs them.

    Returns
    -------
    Bench
        Milliseconds.
    """
    offer()
    batches = [batch] if isinstance(batch, int) else list(batch)
    given = [_models.to_input(model) for model in models]
    words = to_words(dict(settings))
    text, notes = _secateur.bench(given, batches, rounds, to_threads(threads), words)
    names = [str(one) if isinstance(one, Path) else f"model {n}" for n, one in enumerate(given)]
    rows = [
        {"model": name} | latency for name, row in zip(names, json.loads(text)) for latency in row
    ]
    for note in notes:
        warnings.warn(note, stacklevel=2)
    return Bench(rows, notes)
