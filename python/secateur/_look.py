"""Looking at networks and data: inspect and evaluate."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, overload

from . import _data, _models, _secateur
from ._onnxruntime import offer
from ._prune import as_the_network_takes_them
from ._settings import to_threads, to_words
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
    found = _secateur.inspect(
        given, allow_mixing, plan, latency, latency_checks, to_threads(threads), words
    )
    return Inspection(found)


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
        _models.to_input(model), given, held_against, split, to_threads(threads), words
    )
    return Evaluation(found)
