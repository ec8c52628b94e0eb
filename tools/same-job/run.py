"""Makes the network, runs each script in a process of its own, and judges what it wrote.

Usage: run.py OUT
"""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import onnxruntime
import torch
from common import Net, export, images, train

import secateur

HERE = Path(__file__).parent
SCRIPTS = ("with_torch_pruning", "with_onnxsim", "with_secateur", "with_secateur_torch")
EPOCHS = 1
# Whatever else the machine does, processor time is then that of the work.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}


def lines(script):
    """Lines of code, without empty ones."""
    text = (HERE / f"{script}.py").read_text()
    return sum(bool(line.strip()) for line in text.splitlines())


def judged(file):
    x, y = images("t10k")
    session = onnxruntime.InferenceSession(file)
    scores = session.run(None, {session.get_inputs()[0].name: x.numpy()})[0]
    size = secateur.inspect(file)["size"]
    return {
        "macs": size["macs"],
        "params": size["params"],
        "accuracy": float((scores.argmax(1) == y.numpy()).mean()),
    }


def processor_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


out = Path(sys.argv[1]).resolve()
out.mkdir(parents=True, exist_ok=True)
os.chdir(out)
if not Path("net.pt").is_file():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = train(Net(), steps=EPOCHS * 60_000 // 128, lr=0.05)
    export(model, "net.onnx")
    torch.save(model, "net.pt")
rows = {"given": judged("net.onnx")}
for script in SCRIPTS:
    Path("small.onnx").unlink(missing_ok=True)
    begun, used = time.time(), processor_seconds()
    path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    with open(f"{script}.log", "w") as log:
        subprocess.run(
            [sys.executable, HERE / f"{script}.py"],
            env=os.environ | ONE_THREAD | {"PYTHONPATH": path},
            stdout=log,
            stderr=log,
            check=True,
        )
    seconds = {"seconds": time.time() - begun, "processor_seconds": processor_seconds() - used}
    rows[script] = {"lines": lines(script)} | judged("small.onnx") | seconds
    Path("small.onnx").rename(f"{script}.onnx")
    print(script, rows[script], flush=True)
Path("rows.json").write_text(json.dumps(rows, indent=1))
