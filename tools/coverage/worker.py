"""Takes models through export, surgery and comparison, or through Torch-Pruning.

Usage: worker.py HALVE. Reads lines `MODEL EXPORTER` (torchscript, dynamo, file, filled,
torch-pruning), answers each with a line of JSON.
"""
import gc
import json
import pathlib
import subprocess
import sys
import tempfile
import time
import warnings

import onnx

import peer
import zoo
from compare import difference, run, same_message

# Both files sum the same terms in f32, in another order; relative to the largest output.
TOLERANCE = 1e-3


def check(path):
    size = sum(p.stat().st_size for p in path.parent.glob(path.name + "*"))
    onnx.checker.check_model(str(path), full_check=True)
    return size


def ours(halve, name, exporter, scratch):
    """One model through secateur."""
    line = {"model": name, "exporter": exporter, "step": "export"}
    started = time.monotonic()
    try:
        if exporter == "file":
            path = zoo.packaged(name)
        elif exporter == "filled":
            path = scratch / "net.onnx"
            zoo.fill(name, path)
        else:
            path = scratch / "net.onnx"
            line["input"] = zoo.export(name, exporter, path)
        line["export_seconds"] = round(time.monotonic() - started, 1)
        gc.collect()
        line["step"] = "read by onnx"
        check(path)
        small, zeroed, copy = (scratch / f"{n}.onnx" for n in ("small", "zeroed", "copy"))
        line["step"] = "surgery"
        done = subprocess.run(
            [halve, str(path), str(small), str(zeroed), str(copy)], capture_output=True, text=True
        )
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        line.update(json.loads(done.stdout))
        line["step"] = "round trip"
        line["round_trip"] = same_message(path, copy)
        line["bytes_before"] = sum(p.stat().st_size for p in path.parent.glob(path.name + "*"))
        line["step"] = "onnx full check"
        line["bytes_after"] = check(small)
        line["checked"] = True
        line["step"] = "onnxruntime"
        inputs, masked = run(zeroed)
        _, removed = run(small, inputs)
        line["difference"] = difference(masked, removed)
        line["compared"] = sum(int(values.size) for values in masked)
        # How much the removal itself changes: the comparison must see far less.
        _, original = run(path, inputs)
        line["effect"] = difference(original, masked)
        ok = line["round_trip"] and line["difference"] is not None and line["difference"] < TOLERANCE
        # Outputs that hardly feel the removal would agree whatever it did.
        # Detectors may find another number of objects: no figure, but an effect.
        felt = line["compared"] > 0 and (line["effect"] is None or line["effect"] >= 10 * TOLERANCE)
        line["weak"] = line["removed_channels"] > 0 and not felt
        line["step"] = "done" if ok else "comparison"
        line["ok"] = bool(ok)
    except Exception as error:  # the table tells what failed, and goes on
        line["ok"] = False
        line["error"] = f"{type(error).__name__}: {error}"[:600]
    return line


def main():
    halve = sys.argv[1]
    warnings.filterwarnings("ignore")
    # Answers go where the driver listens, whatever exporters print.
    answers, sys.stdout = sys.stdout, sys.stderr
    for job in sys.stdin:
        name, exporter = job.split()
        if exporter == "torch-pruning":
            line = peer.prune(name)
        else:
            with tempfile.TemporaryDirectory() as scratch:
                line = ours(halve, name, exporter, pathlib.Path(scratch))
        gc.collect()
        print(json.dumps(line), file=answers, flush=True)


main()
