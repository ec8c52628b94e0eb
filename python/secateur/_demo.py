"""The whole way on the data that are shipped with the sources."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from . import _secateur
from ._folder import Folder
from ._onnxruntime import offer
from ._progress import RunProgress, TrainProgress
from ._report import Report
from ._settings import Words, to_threads, to_words
from ._train import Trained
from .errors import Interrupted, SecateurError

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._keywords import DemoSettings

File = str | PathLike[str]


class Demo:
    """What a demo brought.

    Attributes
    ----------
    trained : Trained
        The network that was pruned.
    aec, ceca : Report
        What came of it in either mode.
    output : pathlib.Path
        The folder: ``net.onnx``, ``aec.onnx``, ``ceca.onnx`` and the folders of the runs.
    """

    def __init__(self, trained: Trained, aec: Report, ceca: Report, output: Path) -> None:
        self.trained = trained
        self.aec = aec
        self.ceca = ceca
        self.output = output

    def _repr_html_(self) -> str:
        return self.aec._repr_html_() + self.ceca._repr_html_()

    def __repr__(self) -> str:
        return f"{self.trained!r}\n\n{self.aec!r}\n\n{self.ceca!r}"


def demo(
    data: File = "data/mnist",
    output: File = "runs/demo",
    *,
    threads: int | None = None,
    progress: bool | None = None,
    **settings: Unpack[DemoSettings],
) -> Demo:
    """Train, prune in both modes and report, on the data shipped with the sources.

    Parameters
    ----------
    data : path, default "data/mnist"
        MNIST folder.
    output : path, default "runs/demo"
        Folder for everything that is written; emptied of an earlier demo.
    threads : int, optional
        Worker threads.
    progress : bool, optional
        As in :func:`secateur.prune`.
    **settings
        How the initial training goes: ``epochs=3``, ``seed=0``.

    Returns
    -------
    Demo
        The network and both reports.

    Raises
    ------
    Interrupted
        After Ctrl-C: the demo begins anew then.
    """
    offer()
    words = to_words(dict(settings))
    count = to_threads(threads)
    begun = _secateur.Demo(Path(data), Path(output), words, _call(data, output, words))
    try:
        trained = _train(begun, count, progress)
        aec, ceca = (_prune(begun, mode, trained, count, progress) for mode in ("aec", "ceca"))
    except KeyboardInterrupt as error:
        if isinstance(error, SecateurError) and error.hint == _AGAIN:
            raise
        raise Interrupted("stopped as asked", _AGAIN) from None
    return Demo(trained[0], aec, ceca, Path(output))


_AGAIN = "run the demo again; it begins anew"


def _train(
    begun: _secateur.Demo, threads: int | None, progress: bool | None
) -> tuple[Trained, Path]:
    told = TrainProgress(progress, None)
    try:
        file, summary = begun.train(threads, told)
    finally:
        told.close()
    trained = Trained((file.read_bytes(), summary))
    if trained.stopped:
        interrupted = Interrupted("stopped as asked in the training", _AGAIN)
        interrupted.trained = trained
        raise interrupted
    return trained, file


def _prune(
    begun: _secateur.Demo,
    mode: str,
    trained: tuple[Trained, Path],
    threads: int | None,
    progress: bool | None,
) -> Report:
    told = RunProgress(progress, None)
    try:
        output, run_dir, found = begun.prune(mode, threads, told)
    finally:
        told.close()
    return Report(found, model=trained[1], output=output, folder=Folder(run_dir))


def _call(data: File, output: File, words: Words) -> str:
    """The call, for the reports."""
    told = [repr(str(data)), repr(str(output)), *(f"{name}={value[0]}" for name, value in words)]
    return f"secateur.demo({', '.join(told)})"
