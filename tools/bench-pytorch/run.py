#!/usr/bin/env python3
"""Runs the same networks here and in PyTorch, in turn, and prints the ratios.

    tools/bench-pytorch/run.py [--nets vgg,slim,resnet18@64] [--rounds 8] [--steps 2] [--threads 2]
                               [--avx2] [--python PATH] [--out FOLDER]

Both sides stay alive for the whole run; in each round each network takes a few steps on one
side, then on the other, so that a busy moment of the machine hits both. Times are of single
steps. PyTorch takes the better of its two memory formats, found before the first round.
`--avx2` keeps both sides to AVX2. Without `--python` an environment with PyTorch is made in
`target/bench-pytorch`. `NAME@SIZE` is a network of torchvision, which the PyTorch side exports
for ours. `--out` keeps every time measured as `raw.csv`, and `summary.md`.
"""

import argparse
import csv
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
NAMES = {
    "vgg": "VGG-like, 32-32-64-64-128-128-128",
    "slim": "pruned, 8-16-16-16-24-24-24",
    "tiny": "pruned, 5-6-10-10-20-20-20",
    "resnet": "ResNet-20",
    "mobile": "MobileNetV2",
    "vgg16": "VGG-16 of half the width",
}
FORMATS = ["channels_last", "contiguous"]
PASSES = ["train", "infer", "infer-folded"]


class Side:
    """A process that answers requests for steps."""

    def __init__(self, command, environment):
        self.process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.about = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            sys.exit(f"error: a side ended early: {' '.join(map(str, self.process.args))}")
        return json.loads(line)

    def ask(self, request):
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def make_environment():
    """A Python with PyTorch, made at the first run."""
    folder = ROOT / "target" / "bench-pytorch"
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        packages = ["torch", "torchvision", "onnx"]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
    return python


def files(nets, torch):
    """What our side calls the networks: those of torchvision by their files."""
    folder = ROOT / "target" / "bench-pytorch-nets"
    folder.mkdir(parents=True, exist_ok=True)
    names = {}
    for net in nets:
        names[net] = str(folder / f"{net}.onnx") if "@" in net else net
        if "@" in net:
            torch.ask(f"{net} export {names[net]}")
    return names


def build():
    command = ["cargo", "build", "--release", "--workspace", "--example", "steps"]
    subprocess.run(command, cwd=ROOT, check=True)
    return ROOT / "target" / "release" / "examples" / "steps"


def machine():
    name = platform.processor() or platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                name = line.split(":", 1)[1].strip()
                break
    except OSError:
        pass
    return f"{name}, {os.cpu_count()} cores"


def measure(ours, torch, names, arguments):
    """Rows (net, pass, side, round, step, seconds), memory by net, format by net and pass."""
    rows, notes = [], {}
    pairs = [(net, kind) for net in arguments.nets for kind in PASSES]
    for net, kind in pairs:
        trials = {f: min(torch.ask(f"{net} {kind} {f} 3")["seconds"]) for f in FORMATS}
        notes[net, kind] = {"format": min(trials, key=trials.get)}
    for number in range(arguments.rounds):
        for net, kind in pairs:
            here = f"{names[net]} {kind.removesuffix('-folded')} {arguments.steps}"
            there = f"{net} {kind} {notes[net, kind]['format']} {arguments.steps}"
            turns = [("ours", ours, here), ("torch", torch, there)]
            for side, process, request in turns if number % 2 == 0 else turns[::-1]:
                answer = process.ask(request)
                for step, seconds in enumerate(answer["seconds"]):
                    rows.append((net, kind, side, number, step, seconds))
                if side == "ours":
                    notes[net, kind].setdefault("outside", []).append(answer["outside"])
                    notes[net, kind]["peak_buffers"] = answer["peak_buffers"]
                    notes[net, kind]["allocations"] = answer["allocations"]
                # Threads of the other side may still look for work for a moment.
                time.sleep(0.02)
    return rows, notes


def memory(binary, python, environment, names, arguments):
    """Peak resident megabytes of a process that does nothing but train one network."""
    result = {}
    for net in arguments.nets:
        ours = Side([binary, "--serve"], environment)
        torch = Side([python, HERE / "torch_side.py", str(arguments.threads)], environment)
        before = torch.ask(f"{net} none contiguous 0")["peak_rss"]
        result[net] = (
            ours.ask(f"{names[net]} train 3")["peak_rss"] / 1e6,
            torch.ask(f"{net} train {FORMATS[0]} 3")["peak_rss"] / 1e6,
            before / 1e6,
        )
        ours.close()
        torch.close()
    return result


def summarise(rows, notes, peaks, arguments, about):
    lines = [
        f"{about['machine']}; {arguments.threads} threads on both sides; "
        f"PyTorch {about['torch']}; level {about['level']}; batch 128, or 16 of more than 64x64 pixels; "
        f"{arguments.rounds} rounds of {arguments.steps} steps, in turn.",
        "",
        "| network | pass | ours, ms: least / median | PyTorch, ms: least / median | format "
        "| ratio of least / of medians |",
        "|---|---|---|---|---|---|",
    ]
    labels = {
        "train": "training step",
        "infer": "inference",
        "infer-folded": "inference, PyTorch with folded norms",
    }
    for (net, kind), note in notes.items():
        times = {
            side: [1e3 * r[5] for r in rows if r[:3] == (net, kind, side)]
            for side in ("ours", "torch")
        }
        least = {side: min(ms) for side, ms in times.items()}
        median = {side: statistics.median(ms) for side, ms in times.items()}
        lines.append(
            f"| {NAMES.get(net, net)} | {labels[kind]} "
            f"| {least['ours']:.1f} / {median['ours']:.1f} "
            f"| {least['torch']:.1f} / {median['torch']:.1f} | {note['format']} "
            f"| {least['torch'] / least['ours']:.2f} / {median['torch'] / median['ours']:.2f} |"
        )
    lines += [
        "",
        "| network | training step outside the routines, median | blocks of memory allocated in "
        "warm steps | buffers at peak, MB | process at peak, MB | PyTorch's process (of which "
        "before the net), MB |",
        "|---|---|---|---|---|---|",
    ]
    for net in arguments.nets:
        note = notes[net, "train"]
        ours, torch, before = peaks[net]
        lines.append(
            f"| {NAMES.get(net, net)} | {100 * statistics.median(note['outside']):.1f} % "
            f"| {note['allocations']} | {note['peak_buffers'] / 1e6:.0f} | {ours:.0f} "
            f"| {torch:.0f} ({before:.0f}) |"
        )
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nets", default=",".join(NAMES), help="comma-separated")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--avx2", action="store_true")
    parser.add_argument("--python", type=Path, help="a Python that has PyTorch")
    parser.add_argument("--binary", type=Path, help="the example `steps`, already built")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    arguments.nets = arguments.nets.split(",")
    binary = (arguments.binary or build()).resolve()
    python = arguments.python or make_environment()
    environment = {
        "RAYON_NUM_THREADS": str(arguments.threads),
        "OMP_NUM_THREADS": str(arguments.threads),
    }
    if arguments.avx2:
        # Of PyTorch's own kernels, of oneDNN and of MKL.
        environment |= {
            "SECATEUR_ISA": "avx2",
            "ATEN_CPU_CAPABILITY": "avx2",
            "ONEDNN_MAX_CPU_ISA": "AVX2",
            "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        }
    ours = Side([binary, "--serve"], environment)
    torch = Side([python, HERE / "torch_side.py", str(arguments.threads)], environment)
    about = {"machine": machine(), **ours.about, **torch.about}
    names = files(arguments.nets, torch)
    rows, notes = measure(ours, torch, names, arguments)
    ours.close()
    torch.close()
    peaks = memory(binary, python, environment, names, arguments)
    summary = summarise(rows, notes, peaks, arguments, about)
    print(summary)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        with (arguments.out / "raw.csv").open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["net", "pass", "side", "round", "step", "seconds"])
            writer.writerows((*row[:5], f"{row[5]:.6f}") for row in rows)
        (arguments.out / "summary.md").write_text(summary)


if __name__ == "__main__":
    main()
