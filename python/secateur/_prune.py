"""The main job."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from . import _data, _models, _secateur
from ._folder import Folder
from ._onnxruntime import offer
from ._progress import EpochCallback, RunProgress
from ._report import Report
from ._settings import Words, to_threads, to_words
from ._trainer import Trainer
from .errors import DataError, Interrupted, SecateurError, SettingError, TrainerError

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._data import Data
    from ._keywords import PruneSettings
    from ._models import Model

Share = float | str
Budget = str | Mapping[str, Share | Sequence[Share]]
Metric = str | Callable[[Path], float]
File = str | PathLike[str]


@dataclass
class _Run:
    """A run as the extension takes it."""

    model: Path
    output: Path
    run_dir: Path
    resume: bool
    mode: str | None
    budget: str | None
    max_drop: float | None
    config: Path | None
    settings: Words
    agent: Path | None
    learn_into: Path | None
    tensorboard: Path | None
    command: str
    threads: int | None


def prune(
    model: Model,
    data: Data | None = None,
    *,
    mode: Literal["aec", "ceca"] | None = None,
    budget: Budget | None = None,
    max_drop: float | None = None,
    output: File | None = None,
    run_dir: File | None = None,
    resume: bool = False,
    agent: File | None = None,
    learn_into: File | None = None,
    tensorboard: File | None = None,
    config: File | None = None,
    metric: Metric | None = None,
    trainer: Trainer | None = None,
    no_train: bool = False,
    calibrate: bool = False,
    calibration_images: int = 512,
    threads: int | None = None,
    progress: bool | None = None,
    callback: EpochCallback | None = None,
    **settings: Unpack[PruneSettings],
) -> Report:
    """Make a trained network smaller.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
        The trained network.
    data : path, array, pair of arrays, dict of arrays, or iterable of batches
        Inputs like those it was trained on, with labels or without: a folder as docs/data.md lists
        them; ``(x, y)``; ``x``; arrays by the names of the network's inputs, or named as in an npz
        file (``x_train``, ``y_train``, ``x_test``, ...); or batches of them, such as a PyTorch
        ``DataLoader``. Batches of floats are taken as the network takes them, unless the model says
        how its inputs are normalised, or `normalise` is given.
    mode : {"aec", "ceca"}, optional
        The promise: quality (AEC, the default), or size (CECA, the default with a budget).
    budget : dict or str, optional
        CECA: what may remain, such as ``{"macs": 0.5}`` or ``{"latency": "3ms"}``. Several shares
        make several outputs, ``{"params": [0.4, 0.14]}``; one output meets several metrics,
        ``{"latency": 0.5, "params": 0.3}``. A text is as the command has it.
    max_drop : float, optional
        AEC: points that quality may lose (0), or with `metric` what its number may lose. CECA
        without a budget: the most compressed network within this many points is the output (0.5).
    output : path, optional
        File to write; several budgets add their names. Without it the networks lie in the run's
        folder, from where :meth:`Network.save` copies them.
    run_dir : path, optional
        Folder of the run, to look at or to go on from. Without it, it lies beside the output, or
        among temporary files, where it goes with the report.
    resume : bool, default False
        Go on with the run in `run_dir`, by its own settings unless told otherwise.
    agent : path, optional
        Start from an agent saved by another run.
    learn_into : path, optional
        Start from the agent in this file, where there is one, and write there what it has learnt.
    tensorboard : path, optional
        Folder for TensorBoard: quality, size, reward and epsilon of every pruning epoch, in a sub-folder
        for this run.
    config : path, optional
        Settings (TOML); arguments go first.
    metric : callable or str, optional
        Gives a number of the network in a file, whose path it is called with; larger is better
        unless ``metric_lower_is_better`` is set. AEC holds its floor on it. A text is a command, as
        docs/measure.md says.
    trainer : Trainer, optional
        Trains recoveries in another framework or on another device; :func:`secateur.torch.prune`
        makes one of a function that trains a module.
    no_train : bool, default False
        Rank kernels by their weights alone and cut once; needs a budget.
    calibrate : bool, default False
        With `no_train`: choose kernels by what layers lose with them on `data`, and solve the
        weights that are left.
    calibration_images : int, default 512
        Inputs to calibrate on.
    threads : int, optional
        Worker threads; without it runs share one for each core.
    progress : bool, optional
        Show a bar (by tqdm, where that is installed); by default where somebody looks on.
    callback : callable, optional
        Called with an :class:`Epoch` after every pruning epoch. An exception stops the run, which
        is kept.
    **settings
        Any setting by its name: ``seed=0``, ``max_cost=0.3``; :func:`secateur.settings` lists them.

    Returns
    -------
    Report
        The networks, and what was gained and lost.

    Raises
    ------
    SecateurError
        One of its kinds, with a hint.
    Interrupted
        After Ctrl-C; its ``run_dir`` is what `resume` goes on from.
    """
    words = to_words(dict(settings))
    if isinstance(metric, str):
        words, metric = [*words, ("metric", [metric])], None
    _check(no_train, calibrate, data, mode, metric, trainer, tensorboard)
    given_model = _models.to_input(model)
    given = None if data is None else _data.to_input(data)
    if given is not None:
        words = as_the_network_takes_them(words, data, given, given_model)
    run_on = partial(
        _Run,
        resume=resume,
        mode=mode,
        budget=_budget(budget),
        max_drop=None if max_drop is None else float(max_drop),
        config=None if config is None else Path(config),
        settings=words,
        agent=None if agent is None else Path(agent),
        learn_into=None if learn_into is None else Path(learn_into),
        tensorboard=None if tensorboard is None else Path(tensorboard),
        command=_call(mode, budget, max_drop, words),
        threads=to_threads(threads),
    )
    offer()
    place = _Place(output, run_dir, resume)
    told = RunProgress(progress, callback)
    try:
        file = place.file_of(given_model)
        run = run_on(model=file, output=place.output, run_dir=place.folder.path)
        if no_train:
            found = _secateur.prune_without_training(run, given, calibration_images, told)
        elif given is None:
            raise DataError("cannot prune: no data", "give `--data`, or `--no-train` to do without")
        else:
            found = _secateur.prune(run, given, metric, trainer, told)
    except BaseException as error:
        place.keep(error)
        raise
    finally:
        told.close()
    return Report(found, model=file, output=place.output, folder=place.folder)


class _Place:
    """Where a run writes."""

    def __init__(self, output: File | None, run_dir: File | None, resume: bool) -> None:
        if resume and output is None and run_dir is None:
            raise SettingError("cannot resume: no run is named", "name its folder with `--run-dir`")
        if run_dir is None and output is not None:
            run_dir = f"{output}.run"
        self.folder = Folder(None if run_dir is None else Path(run_dir))
        self.output = self.folder.path / "pruned.onnx" if output is None else Path(output)

    def file_of(self, model: Path | bytes) -> Path:
        """The file of a model; one that has none is written into the folder."""
        if not isinstance(model, Path) or self.output.parent == self.folder.path:
            self.folder.path.mkdir(parents=True, exist_ok=True)
        if isinstance(model, Path):
            return model
        file = self.folder.path / "given.onnx"
        file.write_bytes(model)
        return file

    def keep(self, error: BaseException) -> None:
        """After a run that did not end: what it has reached stays, and the exception says where."""
        run_dir = self.folder.path
        if not (run_dir / "checkpoint.bin").is_file():
            return
        self.folder.leave()
        again = f'the same call with `run_dir="{run_dir}", resume=True` goes on'
        if isinstance(error, KeyboardInterrupt) and not isinstance(error, SecateurError):
            interrupted = Interrupted("stopped as asked; the run is kept", again)
            interrupted.run_dir = run_dir
            raise interrupted from None
        if isinstance(error, TrainerError):
            raise TrainerError(error.message, f"mend it; {again}") from error.__cause__
        is_own = isinstance(error, SecateurError)
        if not is_own and hasattr(error, "add_note"):  # from Python 3.11 on
            error.add_note(f"the run is kept: {again}")


def as_the_network_takes_them(words: Words, data: Any, given: Any, model: Any) -> Words:
    """Batches of floats are what one gives to the network: nothing is normalised anew."""
    is_said = any(name == "normalise" for name, _ in words)
    if is_said or not (_data.are_batches(data) and _data.are_floats(given)):
        return words
    if _secateur.has_normalisation(_models.to_input(model)):
        return words
    return [*words, ("normalise", ["none"])]


def _check(
    no_train: bool,
    calibrate: bool,
    data: Any,
    mode: str | None,
    metric: Any,
    trainer: Any,
    tensorboard: Any,
) -> None:
    """What does not go together, in the order in which one would ask."""
    if calibrate and not no_train:
        raise SettingError("cannot calibrate a run that trains", "add `--no-train`")
    if not no_train:
        return
    if mode == "aec":
        raise SettingError("cannot promise quality without training", "leave `--mode` out")
    if metric is not None:
        raise SettingError(
            "cannot use a metric without training: one cut chooses nothing by it",
            "leave `--metric` out, and call it on the written file",
        )
    if trainer is not None:
        raise SettingError("cannot use a trainer without training", "leave `--no-train` out")
    if tensorboard is not None:
        raise SettingError(
            "cannot write for TensorBoard without training: there are no pruning epochs",
            "leave `--tensorboard` out",
        )
    if data is not None and not calibrate:
        raise SettingError(
            "cannot use data without training: kernels are ranked by their weights alone",
            "add `--calibrate` to solve the weights that are left on the data",
        )
    if data is None and calibrate:
        raise DataError("cannot calibrate: no data")


def _budget(budget: Budget | None) -> str | None:
    """``params=0.4,0.14``, or ``latency=3ms+params=0.3``."""
    if budget is None or isinstance(budget, str):
        return budget
    if not isinstance(budget, Mapping):
        kind = type(budget).__name__
        raise SettingError(
            f"`budget` is a `{kind}`, expected a dict such as {{'macs': 0.5}}, or a text"
        )
    return "+".join(f"{metric}={_shares(metric, shares)}" for metric, shares in budget.items())


def _shares(metric: str, shares: Share | Sequence[Share]) -> str:
    several = [shares] if isinstance(shares, str) or not isinstance(shares, Iterable) else shares
    return ",".join(one if isinstance(one, str) else _share(metric, one) for one in several)


def _share(metric: str, share: Any) -> str:
    try:
        return repr(float(share))
    except (TypeError, ValueError):
        raise SettingError(
            f"the budget of `{metric}` is {share!r}, expected a share from 0 to 1, or several"
        ) from None


def _call(mode: str | None, budget: Budget | None, max_drop: float | None, words: Words) -> str:
    """The call, for the report; models and data may have no text of their own."""
    named = {"mode": mode, "budget": budget, "max_drop": max_drop}
    told = [f"{name}={value!r}" for name, value in named.items() if value is not None]
    told += [f"{name}={_told(values)}" for name, values in words]
    return f"secateur.prune({', '.join(['model', 'data', *told])})"


def _told(values: list[str]) -> str:
    return repr(values[0]) if len(values) == 1 else repr(values)
