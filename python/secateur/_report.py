"""What a pruning run brought."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from . import _secateur
from ._folder import Folder

if TYPE_CHECKING:
    import onnx
    import pandas as pd

Indices = npt.NDArray[np.int64]
# A report as JSON, and the table that people read.
Found = tuple[str, str]

# Pixels of the report's page in a notebook; it scrolls.
_PAGE_HEIGHT = 720
_SIZES = ("kernels", "conv_params", "params", "macs")
_QUALITIES = ("test_quality", "search_quality", "confirm_quality", "measure")


class Kept(Mapping[str, Indices]):
    """The kernels that each layer has kept: indices in the given network, by the layer's name.

    Names are those of nodes. A layer's name in the module that was exported will do too, by the
    name of its weights (``layer1.0.conv1``), and so will a part of a node's name where only one
    layer is meant: ``conv1`` for ``/features/conv1/Conv``.
    """

    def __init__(self, layers: list[dict[str, Any]]) -> None:
        self._kept = {layer["name"]: np.array(layer["kept"], np.int64) for layer in layers}
        weights = {layer["weights"] or "": layer["name"] for layer in layers}
        self._by_weights = {name.removesuffix(".weight"): layer for name, layer in weights.items()}
        #: Kernels of the given network, by layer.
        self.widths: dict[str, int] = {layer["name"]: layer["width"] for layer in layers}

    def __getitem__(self, layer: str) -> Indices:
        own = layer if layer in self._kept else self._by_weights.get(layer)
        if own is not None:
            return self._kept[own]
        part = layer.replace(".", "/").strip("/")
        alike = [name for name in self._kept if f"/{part}/" in f"/{name.strip('/')}/"]
        if len(alike) == 1:
            return self._kept[alike[0]]
        meant = alike or list(self._kept)
        which = "several layers" if alike else "no layer"
        raise KeyError(f"`{layer}` names {which}; layers are {', '.join(meant)}")

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def __repr__(self) -> str:
        return "\n".join(f"{name}: {len(self[name])} of {self.widths[name]}" for name in self)


class Network:
    """A network that a run has made.

    Attributes
    ----------
    label : str
        ``macs=0.5``, or the mode's name.
    path : pathlib.Path
        Its file.
    figures : dict
        Size, bytes, quality, latency: everything that the report says of it.
    """

    def __init__(self, figures: dict[str, Any], path: Path, report: Report) -> None:
        self.label: str = figures.get("label") or figures.get("budget", "")
        self.path = path
        self.figures = figures
        # The files of a run without a folder of its own stay while a network is in use.
        self._report = report

    @property
    def kept(self) -> Kept:
        """The kernels that each layer has kept."""
        return Kept(json.loads(_secateur.kept(self._report._model, self.path)))

    def save(self, path: str | Path) -> Path:
        """Write it as ONNX; weights that lie beside it are written beside again.

        Parameters
        ----------
        path : str or path
            The file to write.

        Returns
        -------
        pathlib.Path
            The same.
        """
        _secateur.copy_model(self.path, Path(path))
        return Path(path)

    def to_bytes(self) -> bytes:
        """The file, as it lies there."""
        return self.path.read_bytes()

    def to_onnx(self) -> onnx.ModelProto:
        """The message of the package ``onnx``."""
        import onnx

        return onnx.load(self.path)

    def __repr__(self) -> str:
        size = self.figures["size"]
        return f"<Network {self.label}: {size['params']:,} parameters, {size['macs']:,} MACs>"


class Report:
    """What a pruning run brought: the networks, and what was gained and lost.

    In a notebook it shows as a page, in a terminal as a table.

    Attributes
    ----------
    outputs : list of Network
        The results: one in AEC, one a budget in CECA.
    front : list of Network
        Networks of other sizes beside the output, in CECA without a budget.
    run_dir : pathlib.Path
        Folder of the run: history, checkpoint, ``report.html``. One that was not named is removed
        with the report.
    warnings : list of str
        What must be known.
    """

    def __init__(
        self,
        found: Found,
        *,
        model: Path,
        output: Path,
        folder: Folder,
    ) -> None:
        text, self._table = found
        self._figures: dict[str, Any] = json.loads(text)
        self._model = model
        self._folder = folder
        self.run_dir = folder.path
        self.warnings: list[str] = self._figures.get("warnings") or self._figures.get("notes", [])
        self.outputs = [
            Network(figures, output.with_name(Path(figures["file"]).name), self)
            for figures in self._figures["after"]
        ]
        self.front = [
            Network(figures, self.run_dir / figures["file"], self)
            for figures in self._figures.get("front", [])
        ]

    @property
    def before(self) -> dict[str, Any]:
        """Figures of the given network."""
        figures: dict[str, Any] = self._figures["before"]
        return figures

    @property
    def kept(self) -> Kept:
        """The kernels that each layer has kept in the first output."""
        return self.outputs[0].kept

    @property
    def history(self) -> list[dict[str, Any]]:
        """The pruning epochs; empty where nothing was trained."""
        file = self.run_dir / "history.jsonl"
        if not file.is_file():
            return []
        return [json.loads(line) for line in file.read_text("utf-8").splitlines()]

    def to_dict(self) -> dict[str, Any]:
        """Everything that the report says, as in ``report.json``."""
        return dict(self._figures)

    def to_pandas(self) -> pd.DataFrame:
        """A row each network, the given one first."""
        import pandas as pd

        networks = [self.before]
        networks += [network.figures for network in self.outputs + self.front]
        return pd.DataFrame([_row(figures) for figures in networks])

    def _repr_html_(self) -> str:
        page = self.run_dir / "report.html"
        if not page.is_file():
            return f"<pre>{html.escape(repr(self))}</pre>"
        return framed(page)

    def __repr__(self) -> str:
        head = self._figures.get("mode") or f"{self._figures['ranking']}, without training"
        return f"{head}\n{self._table}"


def framed(page: Path) -> str:
    """A page in a frame of its own, so that its style leaves the notebook alone."""
    source = html.escape(page.read_text("utf-8"), quote=True)
    style = f"width:100%;height:{_PAGE_HEIGHT}px;border:0"
    return f'<iframe srcdoc="{source}" style="{style}"></iframe>'


def report(run_dir: str | PathLike[str]) -> Report:
    """What a finished run brought, from its folder.

    The folder's page is written anew, by this version.

    Parameters
    ----------
    run_dir : path
        Folder of the run: ``small.onnx.run`` beside the output, unless it was named.

    Returns
    -------
    Report
        As :func:`secateur.prune` returned it. Networks are looked for where they were written, then
        beside the folder and in it.

    Raises
    ------
    RunError
        If the folder holds no run, or one that is not finished.
    """
    folder = Path(run_dir)
    found = _secateur.report(folder)
    figures = json.loads(found[0])
    # Older reports do not say where networks lay.
    places: dict[str, str] = figures.get("places") or {}
    given = figures["before"]["file"]
    models = [Path(places["model"])] if places else []
    models += [folder.parent / given, folder / given]
    results = [Path(places["results"])] if places else []
    results += [folder.parent, folder]
    names = [Path(network["file"]).name for network in figures["after"]]
    model = next((file for file in models if file.is_file()), models[0])
    result = next(
        (place for place in results if all((place / name).is_file() for name in names)), results[0]
    )
    return Report(found, model=model, output=result / "pruned.onnx", folder=Folder(folder))


def _row(figures: dict[str, Any]) -> dict[str, Any]:
    label = figures.get("label") or figures.get("budget", "before")
    row = {"label": label, "file": Path(figures["file"]).name}
    row |= {name: figures["size"][name] for name in _SIZES}
    row["bytes"] = figures["bytes"]
    row |= {name: figures[name] for name in _QUALITIES if figures.get(name) is not None}
    for latency in figures.get("latency", []):
        row[f"latency_ms_{latency['batch']}"] = latency["median_ms"]
    return row
