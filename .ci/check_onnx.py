"""Holds written models against onnx's full checker and onnxruntime.

Usage: check_onnx.py OUTPUTS MODEL...   (OUTPUTS: the example `outputs`)
"""
import json
import subprocess
import sys

import numpy
import onnx
import onnxruntime

# Relative to the largest score; both sides compute in f32.
TOLERANCE = 1e-4

program, *models = sys.argv[1:]
assert models, "no models given"
for path in models:
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    ours = json.loads(subprocess.check_output([program, path]))
    images = numpy.array(ours["input"], dtype=numpy.float32).reshape(ours["shape"])
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    theirs = session.run(None, {session.get_inputs()[0].name: images})[0]
    mine = numpy.array(ours["output"], dtype=numpy.float32).reshape(theirs.shape)
    error = float(numpy.abs(theirs - mine).max() / numpy.abs(theirs).max())
    print(f"{path}: checker ok, onnxruntime differs by {error:.1e}")
    assert error < TOLERANCE, f"{path}: {error}"
print(f"{len(models)} passed, 0 failed")
