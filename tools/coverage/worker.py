"""Takes models through export, surgery and comparison, or through Torch-Pruning.

Usage: worker.py HALVE FETCHED. Reads lines `MODEL EXPORTER` (torchscript, dynamo, file, filled,
package, torch-pruning and those of files.py; `+mixing` behind one gives halve `--allow-mixing`),
answers each with a line of JSON. Files of packages are fetched into the folder FETCHED.
"""
import gc
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import warnings

import onnx

import files
import packages
import peer
import zoo
from compare import difference, run, same_message

# Both files sum the same terms in f32, in another order; relative to the largest output.
TOLERANCE = 1e-3

# Kinds of files that hold operators of onnxruntime's own, or were made by others.
UNCHECKED = {"package", *(kind for _, kind in files.JOBS)}


def check(path):
    onnx.checker.check_model(str(path), full_check=True)


def bytes_of(path):
    return sum(p.stat().st_size for p in path.parent.glob(path.name + "*"))


def obtain(name, kind, scratch, fetched):
    """Makes or finds the file: its path, the shape of its image, what its inputs are given."""
    path = scratch / "net.onnx"
    if kind == "file":
        return zoo.packaged(name), None, {}
    if kind == "package":
        return packages.file(name, fetched), None, packages.inputs(name)
    if kind == "filled":
        return path, zoo.fill(name, path), {}
    if (name, kind) in files.JOBS:
        return path, files.write(name, kind, path), {}
    return path, zoo.export(name, kind, path), {}


def surgery(halve, mixing, path, scratch):
    """The report of `halve`, and its small, zeroed and copied files."""
    written = [scratch / f"{n}.onnx" for n in ("small", "zeroed", "copy")]
    options = ["--allow-mixing"] if mixing else []
    done = subprocess.run([halve, *options, str(path), *map(str, written)], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return json.loads(done.stdout), written


def hold(line, path, small, zeroed, shape, given):
    """Compares outputs, and tells what the comparison is worth."""
    inputs, masked = run(zeroed, extents=shape or (2, 3, 8, 8), given=given)
    _, removed = run(small, inputs)
    line["difference"] = difference(masked, removed)
    line["compared"] = sum(int(values.size) for values in masked)
    # How much the removal itself changes: the comparison must see far less.
    _, original = run(path, inputs)
    line["effect"] = difference(original, masked)
    tolerance = line["tolerance"]
    # Outputs that hardly feel the removal would agree whatever it did.
    # Detectors may find another number of objects: no figure, but an effect.
    felt = line["compared"] > 0 and (line["effect"] is None or line["effect"] >= 10 * tolerance)
    line["weak"] = line["removed_channels"] > 0 and not felt
    return line["round_trip"] and line["difference"] is not None and line["difference"] < tolerance


def ours(halve, name, exporter, scratch, fetched):
    """One model through secateur."""
    kind, _, mixing = exporter.partition("+")
    line = {"model": name, "exporter": exporter, "step": "export", "date": time.strftime("%Y-%m-%d", time.gmtime())}
    line["tolerance"] = files.TOLERANCES.get(kind, TOLERANCE)
    started = time.monotonic()
    try:
        path, shape, given = obtain(name, kind, scratch, fetched)
        line["export_seconds"] = round(time.monotonic() - started, 1)
        gc.collect()
        line["input"], line["step"] = shape, "read by onnx"
        try:
            check(path)
        except Exception as error:  # real files do not all pass: then the small one need not
            if kind not in UNCHECKED:
                raise
            line["unchecked"] = f"{error}"[:300]
        line["step"] = "surgery"
        report, (small, zeroed, copy) = surgery(halve, mixing, path, scratch)
        line.update(report)
        line["step"] = "round trip"
        line["round_trip"] = same_message(path, copy)
        line["bytes_before"], line["bytes_after"] = bytes_of(path), bytes_of(small)
        line["step"] = "onnx full check"
        if "unchecked" not in line:
            check(small)
        line["step"] = "onnxruntime"
        line["ok"] = bool(hold(line, path, small, zeroed, shape, given))
        line["step"] = "done" if line["ok"] else "comparison"
    except Exception as error:  # the table tells what failed, and goes on
        line["ok"] = False
        line["error"] = f"{type(error).__name__}: {error}"[:600]
    return line


def main():
    halve, fetched = sys.argv[1], pathlib.Path(sys.argv[2])
    warnings.filterwarnings("ignore")
    # Answers go where the driver listens, whatever exporters print.
    answers, sys.stdout = os.fdopen(os.dup(1), "w"), sys.stderr
    os.dup2(2, 1)
    for job in sys.stdin:
        name, exporter = job.split()
        if exporter == "torch-pruning":
            line = peer.prune(name)
        else:
            with tempfile.TemporaryDirectory() as scratch:
                line = ours(halve, name, exporter, pathlib.Path(scratch), fetched)
        gc.collect()
        print(json.dumps(line), file=answers, flush=True)


main()
