"""Makes ONNX files smaller with onnxsim and with this program, at the same multiply-adds, from the
same calibration inputs, and holds both against the given files on inputs that neither has seen.

    python compare.py nets.toml --out OUT                # every network of the list, every way
    python compare.py nets.toml --out OUT --nets vgg --ways cut tuned solved

Ways of onnxsim (`peer.py`): `cut`, its structured pruning; `tuned`, that and what it offers to get
back what was lost. Ways of this program: `solved`, `prune --no-train --calibrate`; `agent`, `prune
--mode ceca`. The budget of this program is what onnxsim's cut has left, counted by `secateur inspect`
as is every file. Each row is judged by `secateur eval --original`, and timed in ONNX Runtime.
"""

import argparse
import json
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import inputs
import peer

sys.path.append(str(Path(__file__).parents[1] / "unlabelled"))
import common

WAYS = ("cut", "tuned", "solved", "agent")


class Program:
    """The command line of secateur, with the shapes of a network's inputs."""

    def __init__(self, path, threads, data, shapes):
        self.path, self.data = path, data
        self.threads = ["--threads", threads]
        self.shapes = [word for shape in shapes for word in ("--input-shape", shape)]

    def run(self, verb, *words):
        command = [str(word) for word in (self.path, verb, *words, *self.threads)]
        return subprocess.run(command, check=True, capture_output=True, text=True)

    def macs(self, file):
        """Multiply-adds of a sample."""
        told = json.loads(self.run("inspect", file, *self.shapes, "--json").stdout)
        if told["macs_uncounted_in"]:
            raise ValueError(f"multiply-adds are not known in {told['macs_uncounted_in'][0]}")
        return told["size"]["macs"]

    def prune(self, given, way, share, out, *more):
        words = [given, *common.WAYS[way], "--budget", f"macs={share:.4f}", "-o", out]
        told = self.run("prune", *words, "--data", self.data, *self.shapes, *more)
        out.with_suffix(".txt").write_text(told.stdout + told.stderr)

    def judge(self, given, file):
        """Quality of the network's own task, its name, and the relative error of its outputs."""
        words = [file, "--original", given, "--data", self.data, *self.shapes, "--json"]
        own = json.loads(self.run("eval", *words).stdout)
        values = json.loads(self.run("eval", *words, "--task", "match").stdout)
        errors = [f["value"] for f in values["figures"] if f["name"] == "relative error"]
        return own["quality_name"], own["quality"], sum(errors) / len(errors)


def table_row(cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def reason(error):
    """What went wrong, in a line."""
    told = getattr(error, "stderr", None) or f"{type(error).__name__}: {error}"
    lines = [line for line in told.strip().splitlines() if not line.startswith("note")]
    return lines[0].replace("|", "/")[:160]


class Way:
    """A file made in one way, or found if it was made before, and the seconds that it took."""

    def __init__(self, folder, name, make):
        self.file, beside = folder / f"{name}.onnx", folder / f"{name}.seconds"
        if not (self.file.exists() and beside.exists()):
            begin = time.time()
            make(self.file)
            beside.write_text(f"{time.time() - begin:.0f}")
        self.seconds = int(beside.read_text())


def make_peer(net, program, full, feeds, args, folder):
    """Cuts with onnxsim; a function that writes the file of a way, and what is left."""
    pruned = peer.Pruned(net["file"], feeds.calibration, args)
    least = pruned.cut_to(net.get("macs", args.macs), lambda f: program.macs(f) / full, folder)
    if least:
        told = f"leaves {least:.3f} of the multiply-adds at least"
        table_row([net["name"], "onnxsim", told, "", "", "", "", ""])
    return pruned


def compare(net, args, folder):
    folder.mkdir(parents=True, exist_ok=True)
    given = net["file"]
    feeds = inputs.prepare(net, args.root, folder)
    program = Program(args.secateur, args.threads, folder / "data", net.get("shapes", []))
    full = program.macs(given)
    budget = net.get("macs", args.macs)
    try:
        pruned = make_peer(net, program, full, feeds, args, folder)
        budget = pruned.share
    except Exception as error:
        table_row([net["name"], "onnxsim", "refused: " + reason(error), "", "", "", "", ""])
        pruned = None

    def make(way):
        if way in peer.WAYS:
            return lambda out: pruned.write(way, out)
        more = ["--config", args.config] if way == "agent" and args.config else []
        more += ["--round-to", net.get("round_to", args.round_to)]
        return lambda out: program.prune(given, way, budget, out, *more)

    for way in args.ways:
        if way in peer.WAYS and pruned is None:
            continue
        try:
            made = Way(folder, way, make(way))
            name, quality, error = program.judge(given, made.file)
        except Exception as error:
            table_row([net["name"], way, "failed: " + reason(error), "", "", "", "", ""])
            continue
        seconds = made.seconds + (pruned.seconds if way in peer.WAYS else 0)
        macs = program.macs(made.file) / full
        both = [given, made.file]
        (before, _), (after, _) = common.latency(both, feeds.first, args.latency_seconds)
        figures = [f"{macs:.3f}", name, f"{quality:.4f}", f"{error:.3f}"]
        table_row([net["name"], way, *figures, f"{before:.2f} -> {after:.2f}", seconds])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("list", type=Path, help="networks and their inputs (TOML)")
    parser.add_argument("--out", type=Path, required=True, help="folder of files and runs")
    parser.add_argument("--root", type=Path, help="where files of the list lie [default: OUT]")
    parser.add_argument("--secateur", type=Path, default=common.PROGRAM)
    parser.add_argument("--nets", nargs="+", help="names out of the list [default: all]")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--macs", type=float, default=0.5, help="share of multiply-adds to leave")
    parser.add_argument("--score", choices=peer.SCORES, default="wanda", help="onnxsim's ranking")
    parser.add_argument("--iterations", type=int, default=300, help="onnxsim's steps for a block")
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-4, 1e-3, 1e-2])
    parser.add_argument("--config", type=Path, help="settings of the agent (TOML)")
    parser.add_argument("--round-to", type=int, default=1, help="of this program's ways")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--latency-seconds", type=float, default=6.0)
    args = parser.parse_args()
    args.root = args.root or args.out
    nets = tomllib.loads(args.list.read_text())["net"]
    head = ["network", "way", "MACs left", "quality", "held out", "relative error"]
    table_row([*head, "least ms, given -> written", "seconds"])
    table_row(["---"] * 8)
    for net in nets:
        if not args.nets or net["name"] in args.nets:
            net["file"] = args.root / net["file"]
            compare(net, args, args.out / net["name"])


if __name__ == "__main__":
    main()
