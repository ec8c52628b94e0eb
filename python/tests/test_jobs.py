"""What the command does beside pruning: reports of folders, experiments, the demo."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import MNIST, QUICK

import secateur

EXPERIMENT = """
seeds = [0]
promises = ["params=0.5"]
policies = ["dqn", "l2-uniform"]
[settings.search]
exchange_epochs = 1
recover_steps = 4
max_cost = 100.0
agent_updates = 4
ablation_images = 0
[[network]]
name = "small"
data = {data!r}
file = {net!r}
"""


def test_the_report_of_a_folder_is_that_of_the_run(net: Path, tmp_path: Path) -> None:
    where = tmp_path / "results" / "small.onnx"
    where.parent.mkdir()
    run_dir = tmp_path / "elsewhere"
    made = secateur.prune(
        net, MNIST, budget={"params": [0.7, 0.5]}, output=where, run_dir=run_dir, **QUICK
    )
    (run_dir / "report.html").unlink()
    found = secateur.report(run_dir)
    assert found.to_dict() == made.to_dict() and repr(found) == repr(made)
    assert [one.path for one in found.outputs] == [one.path for one in made.outputs]
    assert found.history == made.history
    assert {name: list(kept) for name, kept in found.kept.items()} == {
        name: list(kept) for name, kept in made.kept.items()
    }
    assert "Pruning report" in found._repr_html_()

    # Folder and networks together somewhere else.
    moved = tmp_path / "moved"
    shutil.move(where.parent, moved)
    shutil.move(run_dir, moved / "run")
    again = secateur.report(moved / "run")
    assert [one.path.parent for one in again.outputs] == [moved, moved]
    assert secateur.verify(net, again.outputs[1].path)


def test_folders_without_a_report_are_told(tmp_path: Path) -> None:
    with pytest.raises(secateur.RunError, match="it is no run folder") as found:
        secateur.report(tmp_path)
    assert "small.onnx.run" in str(found.value.hint)


def test_an_experiment_is_made_once(net: Path, tmp_path: Path) -> None:
    file = tmp_path / "quick.toml"
    file.write_text(EXPERIMENT.format(data=str(MNIST), net=str(net)))
    out = tmp_path / "out"
    planned = secateur.compare(file, output=out, dry_run=True)
    assert ["l2-uniform" in title for title, _ in planned] == [False, True]
    assert all(str(command).startswith("secateur ") for _, command in planned)
    made = secateur.compare(file, output=out, progress=False)
    assert made.output == out and not made.failures and not made.missing
    assert "l2-uniform" in repr(made) and "<iframe" in made._repr_html_()
    lines = made.to_pandas()
    assert list(lines["policy"]) == ["dqn", "l2-uniform"]
    assert (lines["params"] <= 0.5).all()
    assert list(made.to_pandas("rows")["seed"]) == [0, 0]
    assert secateur.compare(file, output=out, dry_run=True) == []
    merged = secateur.compare(file, output=tmp_path / "all", merge=[out], test=True)
    assert merged.to_dict()["figure"] == "test" and len(merged.rows) == 2


def test_runs_that_fail_are_warned_of(net: Path, tmp_path: Path) -> None:
    file = tmp_path / "wrong.toml"
    (tmp_path / "no.onnx").write_bytes(b"no network")
    text = EXPERIMENT.format(data=str(MNIST), net=str(tmp_path / "no.onnx"))
    file.write_text(text.replace('policies = ["dqn", "l2-uniform"]', 'policies = ["dqn"]'))
    with pytest.warns(UserWarning, match="1 of the runs failed"):
        made = secateur.compare(file, output=tmp_path / "out", progress=False)
    assert "no.onnx" in made.failures[0]["error"]


def test_what_no_experiment_can_use(net: Path, tmp_path: Path) -> None:
    file = tmp_path / "quick.toml"
    file.write_text(EXPERIMENT.format(data=str(tmp_path / "nowhere"), net=str(net)))
    out = tmp_path / "out"
    for wrong, message in [
        ({"shard": "3/2"}, "`shard` is `3/2`, expected I/N"),
        ({"jobs": 0}, "`jobs` is 0"),
        ({"merge": [out], "dry_run": True}, "cannot use `dry_run` with `merge`"),
    ]:
        with pytest.raises(secateur.SettingError, match=message):
            secateur.compare(file, output=out, **wrong)  # type: ignore[call-overload]
    with pytest.raises(secateur.DataError, match="there is no data") as found:
        secateur.compare(file, output=out)
    assert "`data`" in str(found.value.hint)
    with pytest.raises(secateur.RunError, match="holds no runs"):
        secateur.compare(file, output=out, merge=[tmp_path])
    file.write_text("seeds = []")
    with pytest.raises(secateur.SettingError, match="line"):
        secateur.compare(file, output=out)


@pytest.fixture
def few_digits(tmp_path: Path) -> Path:
    """An MNIST folder of so few images that its demo takes seconds."""
    import gzip
    import struct

    folder = tmp_path / "mnist"
    folder.mkdir()
    for part in ("train", "t10k"):
        for kind, dimensions in (("images-idx3", 3), ("labels-idx1", 1)):
            name = f"{part}-{kind}-ubyte.gz"
            raw = gzip.decompress((MNIST / name).read_bytes())
            head = 4 + 4 * dimensions
            each = 28 * 28 if dimensions == 3 else 1
            text = raw[:4] + struct.pack(">I", 1000) + raw[8 : head + 1000 * each]
            (folder / name).write_bytes(gzip.compress(text))
    return folder


def test_the_demo(few_digits: Path, tmp_path: Path) -> None:
    out = tmp_path / "demo"
    shown = secateur.demo(few_digits, out, epochs=6, seed=3, progress=False)
    assert shown.output == out and (out / "net.onnx").is_file()
    for report, name in ((shown.aec, "aec"), (shown.ceca, "ceca")):
        assert report.outputs[0].path == out / f"{name}.onnx"
        assert report.to_dict()["seed"] == 3
        assert report.to_dict()["command"].startswith("secateur.demo(")
        assert secateur.report(out / name).to_dict() == report.to_dict()
    assert shown.ceca.to_pandas()["params"].pct_change().iloc[1] <= -0.9
    assert "Auto-AEC" in repr(shown) and "Auto-CECA" in repr(shown)
    with pytest.raises(secateur.RunError, match="not a demo's") as found:
        secateur.demo(few_digits, few_digits)
    assert "`output`" in str(found.value.hint)
    assert [row["name"] for row in secateur.settings("demo")] == ["epochs", "seed"]
