"""Inspecting, timing, training, and the table of settings."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import MNIST

import secateur


def test_an_inspection_is_text_and_parts(net: Path) -> None:
    found = secateur.inspect(net)
    assert "channel groups" in repr(found)
    assert found["trainable"] and found.prunable
    assert len(found.to_pandas()) == len(found.layers)
    with pytest.raises(AttributeError, match="there is"):
        found.nothing  # noqa: B018
    of_data = secateur.inspect(data=MNIST)
    assert "classes" in repr(of_data) and of_data["train"] > of_data["test"]
    assert secateur.inspect(net, MNIST)["fit"]["outputs"] == 10
    timed = secateur.inspect(net, latency=True, engine="tract", threads=1)
    assert timed["latency"]["given_ms"] > 0 and "latency in tract" in repr(timed)


def test_latencies_have_a_row_each(net: Path) -> None:
    found = secateur.bench(net, net.read_bytes(), batch=[1, 2], rounds=2)
    table = found.to_pandas()
    assert list(table["batch"]) == [1, 2, 1, 2]
    assert (table["median_ms"] > 0).all()
    assert str(net) in repr(found)


def test_training_goes_on_from_a_model(trained: secateur.Trained) -> None:
    steps: list[int] = []
    better = secateur.train(
        MNIST,
        init=trained.to_bytes(),
        epochs=0.1,
        lr=0.01,
        progress=False,
        callback=lambda step, steps_, loss: steps.append(step),
    )
    assert better.to_dict()["sample_macs"] > trained.to_dict()["sample_macs"]
    assert steps == sorted(steps) and steps[-1] > 1
    with pytest.raises(secateur.SettingError, match="`widths`"):
        secateur.train(MNIST, arch="lenet-5", widths=[3])
    with pytest.raises(secateur.SettingError, match="0 to 0.9"):
        secateur.train(MNIST, max_zoom=2)


def test_settings_are_listed(net: Path) -> None:
    table = secateur.settings()
    assert table["max_cost"]["default"] == "0.5"
    assert table["training.recover_max_shift"]["name"] == "max_shift"
    assert "share of the reference training" in repr(table)
    assert {row["name"] for row in secateur.settings("data")} < {row["name"] for row in table}
