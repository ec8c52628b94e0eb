"""Errors say what to do, in the words of Python."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import MNIST, QUICK

import secateur
from secateur.errors import _in_python


@pytest.mark.parametrize(
    ("command", "python"),
    [
        ("take fewer with `--validation`", "take fewer with `validation`"),
        ("add `--resume` to go on", "add `resume=True` to go on"),
        ("give `--normalise imagenet --colour bgr`", 'give `normalise="imagenet", colour="bgr"`'),
        ("`prune --no-train` needs no data", "`prune(no_train=True)` needs no data"),
        ("`secateur inspect` shows why", "`secateur.inspect` shows why"),
        ("`secateur eval` tells", "`secateur.evaluate` tells"),
        ("another file with `-o`", "another file with `output`"),
        ("a file `classes.txt` beside", "a file `classes.txt` beside"),
    ],
)
def test_hints_are_in_python(command: str, python: str) -> None:
    assert _in_python(command) == python


def test_settings_that_do_not_exist_or_fit(net: Path) -> None:
    with pytest.raises(secateur.SettingError, match="no setting `max_cots`") as found:
        secateur.prune(net, MNIST, max_cots=0.3, **QUICK)  # type: ignore[call-arg]
    assert found.value.hint == "`max_cost` may be meant"
    with pytest.raises(secateur.SettingError, match="no setting `slice_steps`") as found:
        secateur.prune(net, MNIST, slice_steps=3, **QUICK)  # type: ignore[call-arg]
    assert "no setting any more" in str(found.value.hint)
    with pytest.raises(secateur.SettingError, match="above 0"):
        secateur.prune(net, MNIST, max_cost=0, **QUICK)
    with pytest.raises(ValueError, match="METRIC=SHARE"):
        secateur.prune(net, MNIST, budget={"flops": 0.5}, **QUICK)
    with pytest.raises(secateur.SettingError, match="mode `aec`"):
        secateur.prune(net, MNIST, mode="aec", budget={"params": 0.5}, **QUICK)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "aec"}, "cannot promise quality"),
        ({"data": MNIST}, "cannot use data"),
        ({"calibrate": True}, "no data"),
        ({"metric": len}, "cannot use a metric"),
        ({}, "METRIC=SHARE"),
    ],
)
def test_what_does_not_go_without_training(net: Path, arguments: dict, message: str) -> None:
    with pytest.raises(secateur.SecateurError, match=message):
        secateur.prune(net, no_train=True, **arguments)


def test_classes_of_errors(net: Path, tmp_path: Path) -> None:
    with pytest.raises(secateur.DataError, match="no such file or folder"):
        secateur.evaluate(net, tmp_path / "nowhere")
    with pytest.raises(secateur.ModelError):
        secateur.inspect(b"no model")
    with pytest.raises(secateur.VerifyError, match="which kernels were removed"):
        secateur.verify(net, net)
    with pytest.raises(secateur.SettingError, match="cannot resume"):
        secateur.prune(net, MNIST, resume=True, **QUICK)
    with pytest.raises(secateur.DataError, match="no data"):
        secateur.prune(net, **QUICK)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"budget": ["macs"]}, "`budget` is a `list`"),
        ({"budget": {"macs": None}}, "the budget of `macs` is None"),
        ({"budget": {"macs": [0.5, "x", object()]}}, "the budget of `macs` is <object"),
        ({"threads": 0}, "`threads` is 0"),
        ({"threads": "two"}, "`threads` is 'two'"),
    ],
)
def test_values_of_other_kinds(net: Path, arguments: dict, message: str) -> None:
    with pytest.raises(secateur.SettingError, match=message):
        secateur.prune(net, no_train=True, **{"budget": {"macs": 0.5}, **arguments})
