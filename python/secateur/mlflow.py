"""Runs for MLflow: settings, figures of every pruning epoch, and the files of the results.

Needs the package ``mlflow``, or ``mlflow-skinny``: ``pip install './python[mlflow]'``.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import SecateurError

if TYPE_CHECKING:
    from ._report import Report

__all__ = ["log"]

# Values that a server of MLflow takes at once, and the longest text of a setting.
_METRICS = 1000
_PARAMS = 100
_LONGEST = 500
_EPOCH = ("quality", "floor", "loss", "train_loss", "cost_sample_macs", "agent_loss")
_SIZES = ("params", "macs", "kernels")
_RESULT = ("test_quality", "search_quality", "confirm_quality", "measure", "bytes")


def log(report: Report, *, run_name: str | None = None) -> str:
    """Log a pruning run: to the active run of MLflow, or to a new one.

    Settings become parameters (``search.max_cost``), figures of the pruning epochs metrics with the epoch
    as their step (``quality``, ``size/params``, ``reward/total``, ``epsilon``), figures of the networks
    metrics by their label (``before/params``, ``macs-0.5/test_quality``), and the report, the settings
    and the networks artefacts.

    Parameters
    ----------
    report : Report
        Of :func:`secateur.prune` or :func:`secateur.report`.
    run_name : str, optional
        Name of a new run; by default the report's promise.

    Returns
    -------
    str
        Id of the MLflow run.
    """
    if find_spec("mlflow") is None:
        raise SecateurError(
            "cannot log to MLflow: the package `mlflow` is not installed",
            "pip install mlflow-skinny, or mlflow with its pages",
        )
    import mlflow

    active = mlflow.active_run()
    if active is not None:
        _log(report, active.info.run_id)
        return str(active.info.run_id)
    with mlflow.start_run(run_name=run_name or report.to_dict().get("mode")) as run:
        _log(report, run.info.run_id)
    return str(run.info.run_id)


def _log(report: Report, run_id: str) -> None:
    import time

    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param

    client = MlflowClient()
    now = int(1000 * time.time())
    params = [Param(name, value[:_LONGEST]) for name, value in _settings(report)]
    for batch in _batches(params, _PARAMS):
        client.log_batch(run_id, params=batch)
    metrics = [Metric(name, value, now, step) for name, value, step in _metrics(report)]
    for batch in _batches(metrics, _METRICS):
        client.log_batch(run_id, metrics=batch)
    with tempfile.TemporaryDirectory(prefix="secateur-") as folder:
        for network in report.outputs + report.front:
            # With its weights, where they lie beside it.
            network.save(Path(folder) / network.path.name)
        client.log_artifacts(run_id, folder)
    for name in ("report.html", "report.json", "config.toml"):
        if (report.run_dir / name).is_file():
            client.log_artifact(run_id, str(report.run_dir / name))


def _batches(values: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


def _settings(report: Report) -> Iterator[tuple[str, str]]:
    """Settings by their places in a config, and what made the run."""
    figures = report.to_dict()
    for name in ("version", "command", "machine"):
        if name in figures:
            yield name, str(figures[name])
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    yield from _flat("", tomllib.loads(figures.get("config", "")))


def _flat(section: str, table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{section}{name}.", value)
        else:
            yield f"{section}{name}", str(value)


def _metrics(report: Report) -> Iterator[tuple[str, float, int]]:
    for record in report.history:
        step = record["epoch"]
        for name in _EPOCH:
            if record.get(name) is not None:
                yield name, record[name], step
        for name in _SIZES:
            yield f"size/{name}", record["size"][name], step
        if record["stage"] in ("explore", "exploit"):
            yield "epsilon", record["epsilon"], step
            for name, value in record["reward"].items():
                yield f"reward/{name}", value, step
    yield from _network("before", report.before)
    for network in report.outputs + report.front:
        yield from _network(network.label.replace("=", "-"), network.figures)


def _network(label: str, figures: Mapping[str, Any]) -> Iterator[tuple[str, float, int]]:
    for name in _SIZES:
        yield f"{label}/{name}", figures["size"][name], 0
    for name in _RESULT:
        if figures.get(name) is not None:
            yield f"{label}/{name}", figures[name], 0
    for latency in figures.get("latency", []):
        yield f"{label}/latency_ms_{latency['batch']}", latency["median_ms"], 0
