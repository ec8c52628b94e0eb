"""Runs whose networks the user's own functions train and evaluate, on the user's device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from .. import _data, _settings
from .._prune import prune as prune_file
from .._report import Report
from ..errors import SettingError
from ._export import Inputs, export
from ._held import with_held
from ._narrow import Narrowing
from ._ranks import Ranks, are_several, n_ranks
from ._trainer import Evaluate, ModuleMetric, ModuleTrainer, Train

# Samples of a step where neither the function nor the settings tell.
_BATCH_SIZE = 128
# A loader that shuffles, or changes samples by chance, gives the same ones to a run that goes on.
_SEED = 0
# Share of the samples of a loader that networks are judged by.
_JUDGING = 0.4


@dataclass
class Own:
    """What the user gives of their own."""

    train: Train | None
    evaluate: Evaluate | None
    train_samples: int | None
    #: Samples of `data` that are read at most.
    samples: int


def prune_live(
    module: nn.Module, example_inputs: Inputs, data: Any, own: Own, arguments: dict[str, Any]
) -> tuple[Any, Report | None]:
    """The module of a run's first output, and its report in the process that decides."""
    _check(own, arguments)
    if not are_several():
        functions = _Functions(module, export(module, example_inputs), own, arguments)
        report = functions.run(_samples(data, own), example_inputs, arguments)
        return functions.module_of(report), report
    ranks = Ranks()
    if not ranks.is_first:
        _, (message,) = ranks.hear()
        functions = _Functions(module, message, own, arguments, ranks)
        return functions.narrowing.narrowed(ranks.follow(functions.by_name())), None
    with ranks.leading():
        message, given = export(module, example_inputs), _samples(data, own)
        ranks.tell("begin", message)
        functions = _Functions(module, message, own, arguments, ranks)
        report = functions.run(given, example_inputs, arguments)
        ranks.tell("done", report.outputs[0].to_bytes())
    return functions.module_of(report), report


class _Functions:
    """What is called in every process, on modules of the same files."""

    def __init__(
        self,
        module: nn.Module,
        message: bytes,
        own: Own,
        arguments: dict[str, Any],
        ranks: Ranks | None = None,
    ) -> None:
        self.narrowing = Narrowing(module, message)
        self._message = message
        self._trainer: ModuleTrainer | None = None
        self._metric: ModuleMetric | None = None
        if own.train is not None:
            samples, batch_size = _sizes(own, arguments)
            self._trainer = ModuleTrainer(self.narrowing, own.train, samples, batch_size, ranks)
        if own.evaluate is not None:
            self._metric = ModuleMetric(self.narrowing, own.evaluate, ranks)

    def by_name(self) -> dict[str, Any]:
        """What the first process may ask for."""
        found: dict[str, Any] = {}
        if self._trainer is not None:
            found["train"] = self._trainer.train_here
        if self._metric is not None:
            found["evaluate"] = self._metric.of_message
        return found

    def run(self, data: Any, example_inputs: Inputs, arguments: dict[str, Any]) -> Report:
        """The run, in the process that decides."""
        given = dict(with_held(self.narrowing, self._message, example_inputs, arguments))
        if self._trainer is not None and isinstance(data, list):
            # Of few samples a fifth, as elsewhere, would tell networks apart by one or two of them.
            most = int(_JUDGING * sum(_length(batch) for batch in data))
            given["validation"] = arguments.get("validation") or most
        if self._metric is not None:
            given["metric"] = self._metric
        return prune_file(self._message, data, trainer=self._trainer, **given)

    def module_of(self, report: Report) -> Any:
        """The module of the first output."""
        return self.narrowing.narrowed(report.outputs[0].to_bytes())


def _check(own: Own, arguments: dict[str, Any]) -> None:
    """What does not go together."""
    if own.evaluate is not None and arguments.get("metric") is not None:
        raise SettingError("cannot use two measures: `evaluate` and `metric`", "leave one out")
    if own.train is None:
        return
    of_training = (row["name"] for row in _settings.settings() if row["key"].startswith("training"))
    given = [name for name in of_training if arguments.get(name) is not None]
    refused = [f"`{name}`" for name in given if name != "batch_size"]
    if refused:
        raise SettingError(
            f"cannot use {', '.join(refused)}: how networks train is told by `train`",
            "leave them out, and train so in `train`",
        )
    _sizes(own, arguments)


def _sizes(own: Own, arguments: dict[str, Any]) -> tuple[int, int]:
    """Samples to train on, and those of a step of all processes."""
    samples = own.train_samples or getattr(own.train, "samples", None)
    if samples is None:
        raise SettingError(
            "cannot tell how long recoveries take: the number of training samples is not known",
            "give `train_samples`: as many as an epoch of `train` has",
        )
    of_loader = getattr(own.train, "batch_size", None)
    default = _BATCH_SIZE if of_loader is None else of_loader * n_ranks()
    return int(samples), int(arguments.get("batch_size") or default)


def _samples(data: Any, own: Own) -> Any:
    """The data that networks are looked at with: of a loader the first samples, else all."""
    if data is None:
        data = getattr(own.train, "loader", None)
    if data is None or own.train is None or not _data.are_batches(data):
        return data
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_SEED)
        return list(_first(data, own.samples))


def _first(batches: Iterable[Any], samples: int) -> Iterator[Any]:
    """Batches of so many samples together."""
    left = samples
    for batch in batches:
        yield _head(batch, left)
        left -= _length(batch)
        if left <= 0:
            return


def _length(batch: Any) -> int:
    if isinstance(batch, Mapping):
        batch = next(iter(batch.values()))
    elif isinstance(batch, (tuple, list)):
        batch = batch[0]
    return len(batch)


def _head(batch: Any, samples: int) -> Any:
    if isinstance(batch, Mapping):
        return {name: values[:samples] for name, values in batch.items()}
    if isinstance(batch, (tuple, list)):
        return tuple(values[:samples] for values in batch)
    return batch[:samples]
