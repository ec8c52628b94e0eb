"""Looking at networks and data: inspect, evaluate, verify, bench."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from . import _data, _models, _secateur
from ._onnxruntime import offer
from ._prune import as_the_network_takes_them
from ._settings import to_words
from .errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    from typing_extensions import Unpack

    from ._data import Data
    from ._keywords import DataSettings, LookSettings
    from ._models import Model


class Findings:
    """A result by its parts: ``found["layers"]``, ``found.layers``; its text is for people."""

    def __init__(self, found: tuple[str, str, list[str]]) -> None:
        text, self._text, self.notes = found
        self._parts: dict[str, Any] = json.loads(text)

    def to_dict(self) -> dict[str, Any]:
        """Everything that was found."""
        return dict(self._parts)

    def __getitem__(self, name: str) -> Any:
        return self._parts[name]

    def __getattr__(self, name: str) -> Any:
        parts = self.__dict__.get("_parts", {})
        if name in parts:
            return parts[name]
        raise AttributeError(f"nothing is called `{name}`; there is {', '.join(parts)}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._parts]

    def __repr__(self) -> str:
        notes = "".join(f"note: {note}\n" for note in self.notes)
        return self._text + notes


class Inspection(Findings):
    """What a network is made of: ``size``, ``layers``, ``groups``, ``fixed_layers``, ``limits``."""

    def to_pandas(self) -> pd.DataFrame:
        """A row each layer."""
        import pandas as pd

        return pd.DataFrame(self["layers"])


class Evaluation(Findings):
    """How good a network is: ``quality``, ``loss``, ``classes``, ``figures``."""

    @property
    def quality(self) -> float:
        """0 to 1; of a classifier its accuracy."""
        quality: float = self["quality"]
        return quality

    @property
    def loss(self) -> float:
        """Mean loss."""
        loss: float = self["loss"]
        return loss

    def to_pandas(self) -> pd.DataFrame:
        """A row each class."""
        import pandas as pd

        return pd.DataFrame(self["classes"])


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


@overload
def inspect(
    model: Model,
    data: None = None,
    *,
    allow_mixing: bool = False,
    plan: bool = False,
    latency: bool = False,
    latency_checks: int | None = None,
    threads: int | None = None,
    **settings: Unpack[LookSettings],
) -> Inspection: ...


@overload
def inspect(
    model: Model | None = None,
    data: Data | None = None,
    *,
    allow_mixing: bool = False,
    plan: bool = False,
    latency: bool = False,
    latency_checks: int | None = None,
    threads: int | None = None,
    **settings: Unpack[LookSettings],
) -> Findings: ...


def inspect(
    model: Model | None = None,
    data: Data | None = None,
    *,
    allow_mixing: bool = False,
    plan: bool = False,
    latency: bool = False,
    latency_checks: int | None = None,
    threads: int | None = None,
    **settings: Unpack[LookSettings],
) -> Findings:
    """Layers, shapes, channel groups, what can be pruned and why the rest cannot.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto, optional
        The network.
    data : as in :func:`secateur.prune`, optional
        Show data instead: samples and classes; with a model, whether they fit it.
    allow_mixing : bool, default False
        Show what may go where nodes may mix fewer channels.
    plan : bool, default False
        Show how training will run the network.
    latency : bool, default False
        Measure what each layer takes by its width in the engine that files are timed in.
    latency_checks : int, optional
        Networks of other widths that the sum of layers' times is held against.
    threads : int, optional
        Threads of that engine.
    **settings
        How data are read; sizes of open inputs; the engine.

    Returns
    -------
    Inspection
        With `data`, what was found of them.
    """
    offer()
    words = to_words(dict(settings))
    given = None if model is None else _models.to_input(model)
    if data is not None:
        return Findings(_secateur.inspect_data(_data.to_input(data), given, words))
    if given is None:
        raise DataError("cannot inspect: neither a model nor data is given")
    return Inspection(_secateur.inspect(given, allow_mixing, plan, latency, latency_checks, threads, words))


def evaluate(
    model: Model,
    data: Data,
    *,
    original: Model | None = None,
    split: Literal["test", "validation", "train"] = "test",
    threads: int | None = None,
    **settings: Unpack[DataSettings],
) -> Evaluation:
    """Quality and loss of a network, per class too.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
        The network.
    data : as in :func:`secateur.prune`
        The data. Arrays without parts are split as by `prune`: a tenth of them is the test part.
    original : as `model`, optional
        Hold the network against what this one gives for the same inputs, not against labels.
    split : {"test", "validation", "train"}
        Part of the data.
    threads : int, optional
        Worker threads.
    **settings
        How data are read.

    Returns
    -------
    Evaluation
        Its ``quality`` is from 0 to 1.
    """
    given = _data.to_input(data)
    words = as_the_network_takes_them(to_words(dict(settings)), data, given, model)
    held_against = None if original is None else _models.to_input(original)
    found = _secateur.evaluate(
        _models.to_input(model), given, held_against, split, threads, words
    )
    return Evaluation(found)


def verify(
    original: Model, small: Model, **settings: Unpack[LookSettings]
) -> Verdict:
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
    text, not_run = _secateur.verify(
        _models.to_input(original), _models.to_input(small), words
    )
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
    text, notes = _secateur.bench(given, batches, rounds, threads, words)
    names = [str(one) if isinstance(one, Path) else f"model {n}" for n, one in enumerate(given)]
    rows = [
        {"model": name} | latency for name, row in zip(names, json.loads(text)) for latency in row
    ]
    for note in notes:
        warnings.warn(note, stacklevel=2)
    return Bench(rows, notes)
