"""Runs in the store of MLflow."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import MNIST, QUICK

import secateur
import secateur.mlflow

mlflow = pytest.importorskip("mlflow")


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> mlflow.MlflowClient:
    # Files alone are an old kind of store, and need nothing else installed.
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "store").as_uri())
    return mlflow.MlflowClient()


def test_a_run_is_logged_whole(
    net: Path, tmp_path: Path, store: mlflow.MlflowClient
) -> None:
    report = secateur.prune(net, MNIST, budget={"params": [0.7, 0.5]}, **QUICK)
    run_id = secateur.mlflow.log(report)
    run = store.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["seed"] == "7" and run.data.params["search.recover_steps"] == "4"
    metrics = run.data.metrics
    assert metrics["before/params"] == report.before["size"]["params"]
    assert metrics["params-0.5/test_quality"] == pytest.approx(
        report.outputs[1].figures["test_quality"]
    )
    for name, of in (("quality", "quality"), ("size/params", "size")):
        points = {point.step: point.value for point in store.get_metric_history(run_id, name)}
        expected = {
            record["epoch"]: record[of]["params"] if of == "size" else record[of]
            for record in report.history
        }
        assert points == pytest.approx(expected)
    files = {one.path for one in store.list_artifacts(run_id)}
    assert files == {
        "config.toml",
        "report.html",
        "report.json",
        *(one.path.name for one in report.outputs),
    }

    with mlflow.start_run() as active:
        cut = secateur.prune(net, no_train=True, budget="macs=0.5")
        assert secateur.mlflow.log(cut) == active.info.run_id
    assert store.get_run(active.info.run_id).data.metrics["macs-0.5/params"] > 0


def test_without_the_package(monkeypatch: pytest.MonkeyPatch, net: Path) -> None:
    cut = secateur.prune(net, no_train=True, budget="macs=0.5")
    monkeypatch.setattr(secateur.mlflow, "find_spec", lambda name: None)
    with pytest.raises(secateur.SecateurError, match="`mlflow` is not installed"):
        secateur.mlflow.log(cut)
