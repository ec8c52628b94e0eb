"""The tutorial is a program."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
from conftest import MNIST

TUTORIAL = Path(__file__).parents[2] / "docs" / "python.md"


def blocks() -> list[str]:
    """Its code, a block for each that stands in the text."""
    return re.findall(
        r"^```python\n(.*?)^```", TUTORIAL.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )


def test_the_tutorial_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mnist").symlink_to(MNIST, target_is_directory=True)
    names: dict[str, object] = {}
    for number, block in enumerate(blocks()):
        if "torch" in block and find_spec("torch") is None:
            continue
        exec(compile(block, f"python.md, block {number}", "exec"), names)
    assert (tmp_path / "small.onnx").is_file()
    assert names["sizes"]
