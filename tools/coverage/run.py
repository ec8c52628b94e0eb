"""Makes the coverage table: exports a zoo, halves every network, compares.

Usage: python3 tools/coverage/run.py [--work FOLDER] [--only GLOB] [--again GLOB] [--table]

Installs PyTorch and what else it needs into FOLDER/venv, outside the project; every
finished model is a line of FOLDER/results.jsonl, so a stopped run goes on where it was.
`--again` does models anew; `--table` only writes docs/coverage.md from the lines there (rows of
other runs stay on the page).
"""
import argparse
import fnmatch
import json
import os
import pathlib
import select
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PACKAGES = ["torch", "torchvision", "numpy", "onnx", "onnxscript", "onnxruntime", "torch-pruning", "timm"]

# A model that takes longer has failed: export, surgery and three evaluations.
TIME_LIMIT = 1500

KINDS = (
    "file filled torchscript dynamo torch-pruning package "
    "fixed-batch f16 qdq qoperator dynamic-int8 ort-optimised scripted"
).split()

# Exporters keep some memory for themselves.
JOBS_A_PROCESS = 12


def prepare(venv):
    python = venv / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    ready = [str(python), "-c", "import torch, torchvision, onnx, onnxscript, onnxruntime, torch_pruning, timm"]
    if subprocess.run(ready, capture_output=True).returncode:
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        subprocess.run(ready, check=True)
    return python


def halve():
    # Cargo's own messages tell where the program lies.
    command = ["cargo", "build", "--release", "-p", "secateur-onnx", "--example", "halve"]
    subprocess.run(command, cwd=ROOT, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / "release" / "examples" / "halve"


def jobs(python):
    code = "import zoo, json; print(json.dumps(zoo.jobs()))"
    listed = subprocess.run([str(python), "-c", code], cwd=HERE, check=True, capture_output=True, text=True)
    return json.loads(listed.stdout.splitlines()[-1])


class Worker:
    """A process that does one job after the other; another one where it dies or hangs."""

    def __init__(self, command):
        self.command, self.process = command, None

    def start(self):
        self.process = subprocess.Popen(
            self.command,
            cwd=HERE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        )
        self.jobs = 0

    def run(self, name, exporter):
        if self.process is None or self.jobs >= JOBS_A_PROCESS:
            self.stop()
            self.start()
        self.jobs += 1
        self.process.stdin.write(f"{name} {exporter}\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], TIME_LIMIT)
        answer = self.process.stdout.readline() if ready else ""
        if answer:
            return json.loads(answer)
        reason = f"took more than {TIME_LIMIT} s"
        if ready:
            reason = f"the process ended with {self.process.wait()}"
        self.stop()
        return {"model": name, "exporter": exporter, "ok": False, "step": "process", "error": reason}

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--work", type=pathlib.Path, default=pathlib.Path(tempfile.gettempdir()) / "secateur-coverage")
    parser.add_argument("--venv", type=pathlib.Path, help="an environment to use in place of FOLDER/venv")
    parser.add_argument("--only", default="*", help="models to do, as name/exporter glob")
    parser.add_argument("--exporters", default=",".join(KINDS), help="comma-separated, of those of the default")
    parser.add_argument("--again", default="", help="models to do anew, as name/exporter glob")
    parser.add_argument("--halve", type=pathlib.Path, help="the example `halve`, if built already")
    parser.add_argument("--table", action="store_true", help="only write the table")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    results = options.work / "results.jsonl"
    done = {}
    if results.exists():
        for line in map(json.loads, results.read_text().splitlines()):
            done[line["model"], line["exporter"]] = line
    if not options.table:
        python = prepare(options.venv or options.work / "venv")
        program = shutil.copy(options.halve or halve(), options.work / f"halve-{os.getpid()}")
        worker = Worker([str(python), str(HERE / "worker.py"), str(program), str(options.work / "packages")])
        for name, exporter in jobs(python):
            key = f"{name}/{exporter}"
            again = fnmatch.fnmatch(key, options.again)
            wanted = exporter.split("+")[0] in options.exporters.split(",") and fnmatch.fnmatch(key, options.only)
            if not wanted or ((name, exporter) in done and not again):
                continue
            line = worker.run(name, exporter)
            line.setdefault("date", time.strftime("%Y-%m-%d", time.gmtime()))
            done[name, exporter] = line
            with results.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(f"{key}: {'ok' if line['ok'] else line['step'] + ': ' + line.get('error', 'differs')}", flush=True)
        worker.stop()
    import table

    table.write(ROOT / "docs" / "coverage.md", list(done.values()))


main()
