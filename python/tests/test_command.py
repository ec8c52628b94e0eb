"""The command of the wheel, and Ctrl-C, in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import MNIST, QUICK

COMMAND = [sys.executable, "-m", "secateur"]


def run(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, words)], capture_output=True, text=True, check=False)


def test_it_is_the_command(net: Path) -> None:
    shown = run("inspect", net)
    assert shown.returncode == 0 and "channel groups" in shown.stdout
    assert run("--version").stdout.startswith("secateur ")
    wrong = run("prune")
    assert wrong.returncode == 2 and "Usage: secateur prune" in wrong.stderr
    missing = run("inspect", "nothing.onnx")
    assert missing.returncode == 1 and missing.stderr.startswith("error: ")


def wait_for(file: Path, process: subprocess.Popen[str]) -> None:
    for _ in range(600):
        if file.exists():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    raise AssertionError(f"{file} did not come")


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    try:
        return process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


LONG = ["--budget", "params=0.5", "--config"]


@pytest.fixture
def long(tmp_path: Path) -> Path:
    config = tmp_path / "long.toml"
    config.write_text("[search]\nrecover_steps = 100000\nmax_cost = 1000\nablation_images = 0\n")
    return config


def test_ctrl_c_saves_the_run(net: Path, tmp_path: Path, long: Path) -> None:
    small = tmp_path / "small.onnx"
    words = ["prune", net, "--data", MNIST, "-o", small, *LONG, long]
    process = subprocess.Popen(
        [*COMMAND, *map(str, words)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    wait_for(tmp_path / "small.onnx.run" / "checkpoint.bin", process)
    process.send_signal(signal.SIGINT)
    # The epoch may take its time: once more is at once.
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, told = finish(process)
    assert process.returncode == 130 and "stopping when the run is saved" in told


SCRIPT = """
import signal, sys, secateur
# A job in the background begins with interrupts ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    secateur.prune({net!r}, {data!r}, budget="params=0.5", run_dir={run!r}, config={config!r},
                   progress=False)
except secateur.Interrupted as stopped:
    print(stopped.run_dir, stopped.hint, sep="|")
    sys.exit(5)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals are of POSIX")
def test_an_interrupt_keeps_the_run(net: Path, tmp_path: Path, long: Path) -> None:
    folder = tmp_path / "run"
    script = SCRIPT.format(net=str(net), data=str(MNIST), run=str(folder), config=str(long))
    process = subprocess.Popen(
        [sys.executable, "-c", script], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    wait_for(folder / "checkpoint.bin", process)
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    shown, told = finish(process)
    assert process.returncode == 5, told
    assert "interrupt once more" in told
    assert shown.startswith(str(folder)) and "resume=True" in shown

    import secateur

    quick = QUICK | {"seed": 0, "max_cost": 0.2}
    again = secateur.prune(net, MNIST, budget="params=0.5", run_dir=folder, resume=True, **quick)
    assert secateur.verify(net, again.outputs[0].path)
