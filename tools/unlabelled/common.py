"""What the scripts of this folder share: the program, ONNX Runtime, times, tables."""

import argparse
import shlex
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime

PROGRAM = Path(__file__).parents[2] / "target/release/secateur"

# How a network is made smaller: what `prune` is told besides file, data and budget.
WAYS = {
    "solved": ["--no-train", "--calibrate"],
    "agent": ["--mode", "ceca"],
}


def options(description):
    """A parser with what all scripts are told."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, required=True, help="folder of files and runs")
    parser.add_argument("--secateur", type=Path, default=PROGRAM)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--budget", default="macs=0.5")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--config", type=Path, help="settings of the agent's runs (TOML)")
    return parser


def prune(args, model, out, way, *more):
    """Runs `prune`, keeps what it says beside the file; seconds that it took."""
    command = [args.secateur, "prune", model, *WAYS[way], *more, "--threads", args.threads]
    if args.config and way != "solved":
        command += ["--config", args.config]
    command = [str(word) for word in [*command, "-o", out]]
    print("$", shlex.join(command), flush=True)
    begin = time.time()
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    out.with_suffix(".txt").write_text(done.stdout)
    if done.returncode:
        sys.exit(f"{done.stdout}\nexit code {done.returncode}")
    return time.time() - begin


def session(path):
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    return onnxruntime.InferenceSession(
        str(path), settings, providers=["CPUExecutionProvider"]
    )


def outputs(path, feeds):
    """All outputs of a file for every feed."""
    running = session(path)
    return [running.run(None, feed) for feed in feeds]


def latency(paths, feed, seconds=6.0):
    """Milliseconds (least, median) of each file, one thread; the files take turns."""
    running = [session(path) for path in paths]
    times = [[] for _ in running]
    for one in running:
        one.run(None, feed)
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds or len(times[0]) < 10:
        for one, its in zip(running, times):
            start = time.perf_counter()
            one.run(None, feed)
            its.append(1000 * (time.perf_counter() - start))
    return [(min(its), float(np.median(its))) for its in times]


def row(name, way, figures, times, seconds):
    """A line of a table: figures by name, latency before and after, time of the job."""
    cells = "  ".join(f"{key} {value:.4f}" for key, value in figures.items())
    (least, median), (least_after, median_after) = times
    print(
        f"{name:8} {way:7} {cells}  ms least {least:.2f} -> {least_after:.2f}"
        f" median {median:.2f} -> {median_after:.2f}  job {seconds:.0f} s",
        flush=True,
    )
