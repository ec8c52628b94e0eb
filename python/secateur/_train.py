"""Training a network."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from . import _data, _models, _secateur
from ._progress import TrainProgress
from ._settings import to_threads, to_words
from .errors import Interrupted

if TYPE_CHECKING:
    import onnx
    from typing_extensions import Unpack

    from ._data import Data
    from ._keywords import TrainSettings
    from ._models import Model

File = str | PathLike[str]
Arch = Literal["vgg-like", "lenet-5", "resnet-20", "mobilenet-v2"]


class Trained:
    """A trained network.

    Attributes
    ----------
    quality : float
        On the validation part, 0 to 1.
    loss, seconds : float
        There, and of the training.
    stopped : bool
        True if it was interrupted before its last step.
    diverged : str or None
        Why it ended early, where the loss was no longer finite.
    """

    def __init__(self, found: tuple[bytes, str]) -> None:
        self._bytes, text = found
        self._summary: dict[str, Any] = json.loads(text)
        self.quality: float = self._summary["validation_quality"]
        self.loss: float = self._summary["validation_loss"]
        self.seconds: float = self._summary["seconds"]
        self.stopped: bool = self._summary["stopped"]
        self.diverged: str | None = self._summary["diverged"]

    def to_dict(self) -> dict[str, Any]:
        """Everything that is known of the training."""
        return dict(self._summary)

    def to_bytes(self) -> bytes:
        """The model's message."""
        return self._bytes

    def to_onnx(self) -> onnx.ModelProto:
        """The message of the package ``onnx``."""
        import onnx

        return onnx.load_from_string(self._bytes)

    def save(self, path: File) -> Path:
        """Write it as ONNX."""
        _secateur.copy_model(self._bytes, Path(path))
        return Path(path)

    def __repr__(self) -> str:
        name = self._summary["quality_name"]
        return f"<Trained: validation {name} {100 * self.quality:.2f} %, {self.seconds:.0f} s>"


def train(
    data: Data,
    *,
    init: Model | None = None,
    fresh: bool = False,
    arch: Arch = "vgg-like",
    widths: str | Sequence[int | str] | None = None,
    hidden: int | Sequence[int] | None = None,
    config: File | None = None,
    threads: int | None = None,
    progress: bool | None = None,
    callback: Callable[[int, int, float], Any] | None = None,
    **settings: Unpack[TrainSettings],
) -> Trained:
    """Train a network on labelled images.

    Parameters
    ----------
    data : as in :func:`secateur.prune`
        The data, with labels.
    init : path, bytes or onnx.ModelProto, optional
        Go on from this model instead of building one.
    fresh : bool, default False
        Of `init` take the shape alone, and begin with new weights.
    arch : {"vgg-like", "lenet-5", "resnet-20", "mobilenet-v2"}
        Architecture to build.
    widths : str or sequence, optional
        vgg-like: kernels a convolution, and ``"M"`` for pooling.
    hidden : int or sequence of int, optional
        vgg-like: widths of the hidden fully connected layers.
    config : path, optional
        Settings (TOML); arguments go first.
    threads : int, optional
        Worker threads.
    progress : bool, optional
        As in :func:`secateur.prune`.
    callback : callable, optional
        Called with the step, how many there are, and the loss, some ten times a second.
    **settings
        Any setting by its name: ``epochs=3``, ``lr=0.05``; ``secateur.settings("train")`` lists
        them.

    Returns
    -------
    Trained
        The network, with what pruning must know in its metadata.

    Raises
    ------
    Interrupted
        After Ctrl-C; its ``trained`` is what was reached.
    """
    told = TrainProgress(progress, callback)
    start = _Start(init, fresh, arch, widths, hidden)
    place = None if config is None else Path(config)
    words = to_words(dict(settings))
    try:
        found = _secateur.train(
            start, _data.to_input(data), place, words, to_threads(threads), told
        )
    finally:
        told.close()
    trained = Trained(found)
    if trained.stopped:
        interrupted = Interrupted(
            "stopped as asked before the last step",
            "`trained` of this exception is what was reached; give it as `init` to train on",
        )
        interrupted.trained = trained
        raise interrupted
    return trained


class _Start:
    """What is trained, as the extension takes it."""

    def __init__(
        self,
        init: Model | None,
        fresh: bool,
        arch: str,
        widths: str | Sequence[int | str] | None,
        hidden: int | Sequence[int] | None,
    ) -> None:
        self.init = None if init is None else _models.to_input(init)
        self.fresh = fresh
        self.arch = arch
        is_text = widths is None or isinstance(widths, str)
        self.widths = widths if is_text else ",".join(str(width) for width in widths or ())
        hidden = [hidden] if isinstance(hidden, int) else hidden
        self.hidden = None if hidden is None else list(hidden)
