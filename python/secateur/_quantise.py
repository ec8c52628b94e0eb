"""Files with 8-bit integers, by the quantiser of ONNX Runtime."""

from __future__ import annotations

import html
import importlib.metadata
import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _data, _models, _secateur
from ._onnxruntime import offer
from ._prune import as_the_network_takes_them
from ._report import framed
from ._settings import to_count, to_threads, to_words

if TYPE_CHECKING:
    import onnx
    import pandas as pd
    from typing_extensions import Unpack

    from ._data import Data
    from ._keywords import LookSettings
    from ._models import Model

File = str | PathLike[str]

# Below it, weights cannot be quantised channel by channel.
_LEAST_OPSET = 13


class Quantised:
    """A file with 8-bit integers beside the one that it was made of.

    Attributes
    ----------
    path : pathlib.Path
        The file.
    before, after : dict
        ``file``, ``bytes``, ``quality`` (0 to 1) and ``latency`` of either.
    page : pathlib.Path
        The report that shows them: of the run that made the model, if it was found.
    """

    def __init__(self, text: str, table: str, path: Path, page: Path) -> None:
        self._figures: dict[str, Any] = json.loads(text)
        self._table = table
        self.path = path
        self.page = page
        self.before: dict[str, Any] = self._figures["before"]
        self.after: dict[str, Any] = self._figures["after"]

    def to_dict(self) -> dict[str, Any]:
        """Everything that is known of it."""
        return dict(self._figures)

    def to_pandas(self) -> pd.DataFrame:
        """A row each file."""
        import pandas as pd

        rows = []
        for figures in (self.before, self.after):
            row = {name: figures[name] for name in ("file", "bytes", "quality")}
            for latency in figures["latency"]:
                row[f"latency_ms_{latency['batch']}"] = latency["median_ms"]
            rows.append(row)
        return pd.DataFrame(rows)

    def to_onnx(self) -> onnx.ModelProto:
        """The message of the package ``onnx``."""
        import onnx

        return onnx.load(self.path)

    def _repr_html_(self) -> str:
        return framed(self.page) if self.page.is_file() else f"<pre>{html.escape(repr(self))}</pre>"

    def __repr__(self) -> str:
        return self._table


def quantise(
    model: Model,
    data: Data,
    output: File,
    *,
    calibration_images: int = 512,
    run_dir: File | None = None,
    threads: int | None = None,
    **settings: Unpack[LookSettings],
) -> Quantised:
    """Write a network with 8-bit weights and activations, by ONNX Runtime's quantiser.

    Static, per channel, with ``QuantizeLinear`` and ``DequantizeLinear`` in the file. It is calibrated
    on training samples, and both files are judged on held-out ones, in ONNX Runtime.

    Parameters
    ----------
    model : path, bytes or onnx.ModelProto
        The network, best a pruned one.
    data : as in :func:`secateur.prune`
        Inputs like those it was trained on.
    output : path
        File to write.
    calibration_images : int, default 512
        Training samples to calibrate on.
    run_dir : path, optional
        Folder of the run that made the model, whose report gets the figures; by default it is looked for
        beside the model. Without one there is a report in ``<output>.run``.
    threads : int, optional
        Worker threads, and those of ONNX Runtime.
    **settings
        How data are read; sizes of open inputs; the library of ONNX Runtime.

    Returns
    -------
    Quantised
        Quality, size and latency of both files.

    Raises
    ------
    SecateurError
        Where ``onnx`` or ``onnxruntime`` is not installed, or for one of the usual reasons.
    """
    offer()
    given_model = _models.to_input(model)
    given = _data.to_input(data)
    words = as_the_network_takes_them(to_words(dict(settings)), data, given, given_model)
    place = Path(output)
    with _file_of(given_model) as file:
        text, table, page = _secateur.quantise(
            file,
            place,
            given,
            to_count("calibration_images", calibration_images) or 1,
            None if run_dir is None else Path(run_dir),
            f"secateur.quantise(model, data, {str(place)!r})",
            to_threads(threads),
            words,
            quantiser(),
        )
    return Quantised(text, table, place, page)


@contextmanager
def _file_of(model: Path | bytes) -> Iterator[Path]:
    """The file of a model; one that has none gets one meanwhile."""
    if isinstance(model, Path):
        yield model
        return
    with tempfile.TemporaryDirectory(prefix="secateur-") as folder:
        file = Path(folder) / "given.onnx"
        file.write_bytes(model)
        yield file


def quantiser() -> _Quantiser | None:
    """That of ONNX Runtime, where what it needs is installed."""
    return _Quantiser() if find_spec("onnxruntime") and find_spec("onnx") else None


class _Quantiser:
    """Calls ``onnxruntime.quantization``, as the extension asks for it."""

    @property
    def name(self) -> str:
        return f"onnxruntime.quantization {importlib.metadata.version('onnxruntime')}"

    def quantise(self, model: Path, output: Path, samples: _secateur.Samples) -> None:
        import onnx
        from onnxruntime import quantization
        from onnxruntime.quantization.shape_inference import quant_pre_process

        given = onnx.load(model)
        types = {
            one.name: onnx.helper.tensor_dtype_to_np_dtype(one.type.tensor_type.elem_type)
            for one in given.graph.input
        }
        with tempfile.TemporaryDirectory(dir=output.parent) as folder, _quiet():
            raised, prepared = Path(folder) / "raised.onnx", Path(folder) / "prepared.onnx"
            onnx.save(_raised(given), raised)
            # Batch norms become part of their convolutions, which are what is quantised.
            quant_pre_process(str(raised), str(prepared), skip_symbolic_shape=True)
            quantization.quantize_static(
                str(prepared),
                str(output),
                _Reader(samples, types),
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=True,
                # What x86 multiplies fastest; others lose nothing by it.
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
            )
        made = onnx.load(output)
        del made.metadata_props[:]
        made.metadata_props.extend(given.metadata_props)
        _leave_used_opsets(made)
        onnx.checker.check_model(made, full_check=True)
        onnx.save(made, output)


def _raised(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same in an opset in which it can be quantised."""
    import onnx.version_converter

    opset = next(one.version for one in model.opset_import if one.domain in ("", "ai.onnx"))
    if opset >= _LEAST_OPSET:
        return model
    return onnx.version_converter.convert_version(model, _LEAST_OPSET)


def _leave_used_opsets(model: onnx.ModelProto) -> None:
    """The optimiser states all that it knows."""
    used = {node.domain for node in model.graph.node} | {""}
    kept = [one for one in model.opset_import if one.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)


class _Reader:
    """Samples as the quantiser reads them, in the types of the file's inputs."""

    def __init__(self, samples: _secateur.Samples, types: dict[str, Any]) -> None:
        self._samples = samples
        self._types = types
        self._next = 0

    def get_next(self) -> dict[str, Any] | None:
        if self._next == len(self._samples):
            return None
        batch = self._samples.batch(self._next)
        self._next += 1
        return {name: array.astype(self._types[name], copy=False) for name, array in batch.items()}


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the advice that the quantiser logs, which is followed; others log as they do."""
    root = logging.getLogger()
    root.addFilter(_is_of_others)
    try:
        yield
    finally:
        root.removeFilter(_is_of_others)


def _is_of_others(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR or "onnxruntime" not in Path(record.pathname).parts
