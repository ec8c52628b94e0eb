"""Real small runs."""

from __future__ import annotations

import copy
import gc
import pickle
import tempfile
import threading
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import MNIST, QUICK

import secateur


@pytest.fixture(scope="module")
def report(net: Path) -> secateur.Report:
    return secateur.prune(net, MNIST, mode="ceca", budget={"params": 0.5}, **QUICK)


def test_a_report_holds_networks_and_figures(report: secateur.Report, net: Path) -> None:
    (small,) = report.outputs
    assert small.label == "params=0.5"
    assert small.figures["size"]["params"] <= 0.5 * report.before["size"]["params"]
    assert "params=0.5" in repr(report) and "kernels" in repr(report)
    assert "<iframe" in report._repr_html_() and "Pruning report" in report._repr_html_()
    table = report.to_pandas()
    assert list(table["label"]) == ["before", "params=0.5"]
    assert table["params"].is_monotonic_decreasing
    assert report.to_dict()["seed"] == 7
    assert report.history[0]["epoch"] == 0


def test_kept_kernels_are_those_of_the_file(report: secateur.Report, net: Path) -> None:
    weights = {w.name: onnx.numpy_helper.to_array(w) for w in onnx.load(net).graph.initializer}
    pruned = report.outputs[0].to_onnx()
    small = {w.name: onnx.numpy_helper.to_array(w) for w in pruned.graph.initializer}
    nodes = {node.name: node for node in pruned.graph.node}
    for layer, kept in report.kept.items():
        name = nodes[layer].input[1]
        assert len(kept) == report.kept.widths[layer] - (len(weights[name]) - len(small[name]))
        assert np.array_equal(kept, report.kept[layer.strip("/")])
    with pytest.raises(KeyError, match="no layer"):
        report.kept["nothing"]


def test_a_saved_network_verifies(report: secateur.Report, net: Path, tmp_path: Path) -> None:
    file = report.outputs[0].save(tmp_path / "small.onnx")
    verdict = secateur.verify(net, file)
    assert verdict and verdict.not_compared is None, verdict
    assert secateur.verify(net.read_bytes(), report.outputs[0].to_bytes())
    assert file.read_bytes() == report.outputs[0].to_bytes()


def test_the_same_call_gives_the_same_network(report: secateur.Report, net: Path) -> None:
    """Two runs side by side in threads, one of a message: neither knows of the other."""
    found: dict[str, bytes] = {}

    def run(name: str, model: object) -> None:
        again = secateur.prune(model, MNIST, budget="params=0.5", **QUICK)  # type: ignore[arg-type]
        found[name] = again.outputs[0].to_bytes()

    models = {"path": net, "message": onnx.load(net)}
    threads = [threading.Thread(target=run, args=one) for one in models.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = onnx.load_from_string(report.outputs[0].to_bytes()).graph
    for bytes_ in found.values():
        assert onnx.load_from_string(bytes_).graph == expected
    assert len(found) == 2


def test_one_network_meets_several_budgets(net: Path) -> None:
    budget = {"latency": 0.9, "params": 0.5}
    report = secateur.prune(net, MNIST, budget=budget, engine="tract", **QUICK)
    (small,) = report.outputs
    assert small.figures["size"]["params"] <= 0.5 * report.before["size"]["params"]
    assert "latency=0.9" in small.label and "params=0.5" in small.label


def test_a_metric_and_a_callback_are_called(net: Path) -> None:
    measured: list[Path] = []
    epochs: list[secateur.Epoch] = []

    def size(file: Path) -> float:
        measured.append(file)
        return float(len(onnx.load(file).graph.initializer))

    report = secateur.prune(
        net, MNIST, budget={"params": 0.5}, metric=size, callback=epochs.append, **QUICK
    )
    assert len(measured) >= 2
    assert report.to_pandas()["measure"].notna().all()
    # The others are of the given network, where an episode begins.
    assert [epoch.record for epoch in epochs] == [
        record for record in report.history if record["turned_off"] or record["stage"] == "recover"
    ]
    assert epochs[-1].params < report.before["size"]["params"]


def test_a_metric_that_fails_is_the_cause(net: Path) -> None:
    def fails(_: Path) -> float:
        raise ZeroDivisionError("no images")

    with pytest.raises(secateur.MetricError, match="no images") as found:
        secateur.prune(net, MNIST, metric=fails, **QUICK)
    assert isinstance(found.value.__cause__, ZeroDivisionError)
    assert found.value.hint is not None


def test_a_callback_that_raises_stops_the_run_which_goes_on(net: Path, tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def stop(epoch: secateur.Epoch) -> None:
        if epoch.epoch == 1:
            raise Enough

    where = tmp_path / "run"
    call = {"budget": {"params": 0.5}, "run_dir": where, **QUICK}
    with pytest.raises(Enough):
        secateur.prune(net, MNIST, callback=stop, **call)
    with pytest.raises(secateur.RunError) as found:
        secateur.prune(net, MNIST, **call)
    assert "`resume=True`" in str(found.value.hint)
    report = secateur.prune(net, MNIST, resume=True, **call)
    whole = secateur.prune(net, MNIST, budget={"params": 0.5}, **QUICK)
    assert report.outputs[0].to_bytes() == whole.outputs[0].to_bytes()


class Elsewhere:
    """Trains in a framework of its own, or not at all."""

    samples = 3000
    batch_size = 50
    done = 0

    def __init__(self, fails: BaseException | None = None) -> None:
        self.fails = fails
        self.asked: list[int] = []

    def train(self, network: bytes, parameters: list[str], steps: int) -> dict[str, np.ndarray]:
        assert threading.current_thread() is threading.main_thread()
        self.asked.append(steps)
        if self.fails is not None:
            raise self.fails
        stored = onnx.load_from_string(network).graph.initializer
        values = {one.name: onnx.numpy_helper.to_array(one) for one in stored}
        # The scores of all classes alike: no decision changes.
        values["classifier.bias"] = values["classifier.bias"] + np.float32(1)
        return {name: np.ascontiguousarray(values[name]) for name in parameters}


def test_recoveries_are_trained_elsewhere(net: Path) -> None:
    trainer = Elsewhere()
    report = secateur.prune(net, MNIST, budget={"params": 0.5}, trainer=trainer, **QUICK)
    assert trainer.asked == [steps for steps in trainer.asked if 1 <= steps <= 4] != []
    (told,) = [note for note in report.warnings if "trained outside" in note]
    assert "in steps of 50 samples of 3000" in told
    as_before = secateur.prune(net, no_train=True, budget={"params": 0.9}).outputs[0].to_onnx()
    bias = {one.name: onnx.numpy_helper.to_array(one) for one in as_before.graph.initializer}
    small = report.outputs[0].to_onnx().graph.initializer
    (shifted,) = [onnx.numpy_helper.to_array(one) for one in small if one.name == "classifier.bias"]
    # Solving may have moved it before, which the shift outweighs.
    assert shifted.mean() > bias["classifier.bias"].mean() + 0.5


@pytest.mark.parametrize("fails", [ZeroDivisionError("no batches"), KeyboardInterrupt()])
def test_a_trainer_that_fails_keeps_the_run(
    net: Path, tmp_path: Path, fails: BaseException
) -> None:
    where = tmp_path / "run"
    call = {"budget": {"params": 0.5}, "run_dir": where, **QUICK}
    raised = secateur.TrainerError if isinstance(fails, Exception) else secateur.Interrupted
    with pytest.raises(raised) as found:
        secateur.prune(net, MNIST, trainer=Elsewhere(fails), **call)
    assert f'run_dir="{where}", resume=True' in str(found.value.hint)
    if raised is secateur.TrainerError:
        assert found.value.__cause__ is fails
    # Nobody else's data will do, nor will secateur itself.
    with pytest.raises(secateur.RunError, match="trained outside in batches of 50 samples"):
        secateur.prune(net, MNIST, resume=True, **call)
    report = secateur.prune(net, MNIST, trainer=Elsewhere(), resume=True, **call)
    whole = secateur.prune(net, MNIST, trainer=Elsewhere(), budget={"params": 0.5}, **QUICK)
    assert report.outputs[0].to_bytes() == whole.outputs[0].to_bytes()


def test_pruning_without_training(net: Path, tmp_path: Path) -> None:
    file = tmp_path / "small.onnx"
    budget = {"macs": [0.7, 0.5]}
    report = secateur.prune(net, no_train=True, budget=budget, policy="l1-uniform", output=file)
    names = [one.path.name for one in report.outputs]
    assert names == ["small.macs-0.7.onnx", "small.macs-0.5.onnx"]
    assert all(secateur.verify(net, one.path) for one in report.outputs)
    assert "without training" in repr(report) and "<pre>" in report._repr_html_()
    assert list(report.kept) == ["conv1", "conv2", "fc1", "classifier"]
    calibrated = secateur.prune(
        net, MNIST, no_train=True, calibrate=True, calibration_images=64, budget="macs=0.5"
    )
    assert calibrated.to_dict()["after"][0]["calibrated"]["inputs"] == 64


def test_a_folder_that_was_not_named_goes_with_the_last_report(
    net: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(secateur.SettingError, match="METRIC=SHARE"):
        secateur.prune(net.read_bytes(), no_train=True, budget="flops=1")
    gc.collect()
    assert list(tmp_path.glob("secateur-*")) == []

    report = secateur.prune(net, no_train=True, budget="macs=0.5")
    again = copy.deepcopy(report)
    del report
    gc.collect()
    assert again.outputs[0].to_bytes()
    with pytest.raises(secateur.SettingError, match="cannot pickle"):
        pickle.dumps(again)
    del again
    gc.collect()
    assert list(tmp_path.glob("secateur-*")) == []

    named = secateur.prune(net, no_train=True, budget="macs=0.5", run_dir=tmp_path / "run")
    assert pickle.loads(pickle.dumps(named)).outputs[0].to_bytes() == named.outputs[0].to_bytes()
