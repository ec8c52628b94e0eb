"""Pruned files with 8-bit integers."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import MNIST, QUICK

import secateur
from secateur import _quantise

onnxruntime = pytest.importorskip("onnxruntime")

FEW = {"calibration_images": 64, "threads": 2}


def with_batch(net: Path, batch: int | str, file: Path) -> Path:
    """The network for batches of one size."""
    model = onnx.load(net)
    for value in (*model.graph.input, *model.graph.output):
        extent = value.type.tensor_type.shape.dim[0]
        extent.Clear()
        if isinstance(batch, int):
            extent.dim_value = batch
        else:
            extent.dim_param = batch
    del model.graph.value_info[:]
    onnx.save(model, file)
    return file


def scores(file: Path, images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: images})[0]


@pytest.mark.parametrize("batch", ["n", 1, 8])
def test_files_of_any_batch(net: Path, tmp_path: Path, batch: int | str) -> None:
    given = with_batch(net, batch, tmp_path / "given.onnx")
    found = secateur.quantise(given, MNIST, tmp_path / "given.int8.onnx", **FEW)
    made = found.to_onnx()
    onnx.checker.check_model(made, full_check=True)
    operators = {node.op_type for node in made.graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= operators
    assert {one.domain for one in made.opset_import} == {""}
    weights = {one.name: one for one in made.graph.initializer}
    scales = [weights[n.input[1]] for n in made.graph.node if n.op_type == "DequantizeLinear"]
    assert any(len(scale.dims) == 1 and scale.dims[0] > 1 for scale in scales), "not per channel"
    # What later commands must know stays.
    kept = {one.key: one.value for one in onnx.load(given).metadata_props}
    assert kept and {one.key: one.value for one in made.metadata_props} == kept

    expected = secateur.evaluate(net, MNIST)
    assert found.before["quality"] == pytest.approx(expected.quality, abs=1e-9)
    assert found.to_dict()["difference"]["images"] == 10_000
    assert abs(found.after["quality"] - found.before["quality"]) < 0.02
    assert found.after["bytes"] < found.before["bytes"]
    assert [one["batch"] for one in found.after["latency"]] == (
        [batch] if isinstance(batch, int) else [1, 8, 64]
    )
    n = batch if isinstance(batch, int) else 4
    images = np.random.default_rng(0).normal(size=(n, 1, 28, 28)).astype(np.float32)
    assert not np.array_equal(scores(given, images), scores(found.path, images))
    # No run made this file.
    assert found.page == tmp_path / "given.int8.onnx.run" / "report.html"
    assert "8-bit" in found.page.read_text("utf-8") and "8-bit" in repr(found)
    assert list(found.to_pandas()["file"]) == ["given.onnx", "given.int8.onnx"]


def test_the_report_of_the_run_has_both_steps(net: Path, tmp_path: Path) -> None:
    small = tmp_path / "small.onnx"
    secateur.prune(net, MNIST, budget={"params": [0.7, 0.5]}, output=small, **QUICK)
    half = tmp_path / "small.params-0.5.onnx"
    for _ in range(2):
        found = secateur.quantise(half, MNIST, tmp_path / "half.int8.onnx", **FEW)
    report = secateur.report(f"{small}.run")
    assert found.page == report.run_dir / "report.html"
    (step,) = report.to_dict()["quantised"]
    assert step == found.to_dict()
    assert step["before"]["file"] == half.name
    assert "With 8-bit integers" in report._repr_html_()
    # Another file of that name is not the run's.
    half.write_bytes(net.read_bytes())
    other = secateur.quantise(half, MNIST, tmp_path / "other.int8.onnx", **FEW)
    assert other.page.parent.name == "other.int8.onnx.run"


def test_without_labels_files_are_held_against_the_one_before(
    net: Path, tmp_path: Path, digits: tuple[np.ndarray, np.ndarray]
) -> None:
    found = secateur.quantise(net, digits[0], tmp_path / "x.onnx", **FEW)
    figures = found.to_dict()
    assert figures["is_against_original"] and found.before["quality"] == 1.0
    assert 0.9 < found.after["quality"] <= 1.0
    assert figures["samples"] == 300


def test_the_command_does_it(net: Path, tmp_path: Path) -> None:
    out = tmp_path / "x.int8.onnx"
    words = ["quantise", net, "--data", MNIST, "--calibration-images", 32, "-o", out]
    command = [sys.executable, "-m", "secateur", *map(str, words)]
    shown = subprocess.run(command, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert "8-bit" in shown.stdout and f"wrote {out}" in shown.stdout
    assert "test accuracy" in shown.stdout and out.is_file()


def test_what_cannot_be_quantised(
    net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "x.onnx"
    with pytest.raises(secateur.DataError, match="no such file or folder"):
        secateur.quantise(net, tmp_path / "nowhere", out)
    with pytest.raises(secateur.RunError, match="no run folder"):
        secateur.quantise(net, MNIST, out, run_dir=tmp_path)
    with pytest.raises(secateur.SecateurError, match="over the given|`output`"):
        secateur.quantise(net, MNIST, net)

    def fails(*_: object, **__: object) -> None:
        raise ValueError("no such tensor")

    monkeypatch.setattr("onnxruntime.quantization.quantize_static", fails)
    with pytest.raises(secateur.ModelError, match="onnxruntime.quantization .* said: .*no such"):
        secateur.quantise(net, MNIST, out, **FEW)
    monkeypatch.setattr(_quantise, "find_spec", lambda name: None)
    with pytest.raises(secateur.SecateurError, match="no quantiser of its own") as found:
        secateur.quantise(net, MNIST, out, **FEW)
    assert "pip install" in str(found.value.hint)
    assert not out.exists() and list(tmp_path.iterdir()) == []
    assert find_spec("onnx")
