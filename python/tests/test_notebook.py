"""The notebook runs from its first cell to its last."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import MNIST

nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("onnxruntime")

NOTEBOOK = Path(__file__).parents[1] / "examples" / "prune.ipynb"


def test_the_notebook_runs(tmp_path: Path) -> None:
    import nbformat

    folder = tmp_path / "python" / "examples"
    folder.mkdir(parents=True)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mnist").symlink_to(MNIST, target_is_directory=True)
    notebook = nbformat.read(shutil.copy(NOTEBOOK, folder), as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "outputs are stripped"
    client = nbclient.NotebookClient(
        notebook, timeout=300, resources={"metadata": {"path": str(folder)}}
    )
    client.execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    pages = [one["data"]["text/html"] for one in shown if "text/html" in one.get("data", {})]
    assert any("Pruning report" in page for page in pages)
    assert (folder / "runs" / "notebook" / "small.int8.onnx").is_file()
