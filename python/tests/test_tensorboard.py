"""Event files, as TensorBoard reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import MNIST, QUICK

import secateur

accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")


def read(folder: Path) -> dict[str, dict[int, float]]:
    """Values by step and tag; no step stands twice."""
    events = accumulator.EventAccumulator(str(folder)).Reload()
    found = {}
    for tag in events.Tags()["scalars"]:
        points = [(point.step, point.value) for point in events.Scalars(tag)]
        assert points == sorted(set(points)) and len(dict(points)) == len(points)
        found[tag] = dict(points)
    return found


def test_runs_have_folders_and_points_of_their_own(net: Path, tmp_path: Path) -> None:
    board = tmp_path / "board"
    call = {"budget": {"params": 0.5}, "tensorboard": board, **QUICK}
    one = secateur.prune(net, MNIST, run_dir=tmp_path / "a" / "run", **call)
    secateur.prune(net, MNIST, run_dir=tmp_path / "b" / "run", **call)
    assert len(list(board.iterdir())) == 2
    (folder, _) = board.iterdir()
    found = read(folder)
    history = {record["epoch"]: record for record in one.history}
    assert found["quality"].keys() == history.keys()
    for step, quality in found["quality"].items():
        assert quality == pytest.approx(history[step]["quality"], abs=1e-6)
        assert found["size/params"][step] == history[step]["size"]["params"]
    acted = [n for n, record in history.items() if record["stage"] in ("explore", "exploit")]
    assert list(found["epsilon"]) == list(found["reward/total"]) == acted != []


def test_a_run_that_goes_on_has_every_point_once(net: Path, tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def stop(epoch: secateur.Epoch) -> None:
        if epoch.epoch >= 1:
            raise Enough

    board = tmp_path / "board"
    call = {"budget": {"params": 0.5}, "tensorboard": board, "run_dir": tmp_path / "run", **QUICK}
    with pytest.raises(Enough):
        secateur.prune(net, MNIST, callback=stop, **call)
    (folder,) = board.iterdir()
    begun = read(folder)["quality"]
    report = secateur.prune(net, MNIST, resume=True, **call)
    (folder,) = board.iterdir()
    quality = read(folder)["quality"]
    assert len(begun) < len(quality) == len(report.history)
    assert all(quality[step] == value for step, value in begun.items())


def test_a_cut_without_training_has_no_epochs(net: Path, tmp_path: Path) -> None:
    with pytest.raises(secateur.SettingError, match="no pruning epochs") as found:
        secateur.prune(net, no_train=True, budget="macs=0.5", tensorboard=tmp_path)
    assert "`tensorboard`" in str(found.value.hint)
