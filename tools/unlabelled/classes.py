"""Classifiers made smaller with and without labels, at equal cost: one table for all runs.

Every run that is not in OUT yet is made, an interrupted one goes on, and after each the table is
written anew, so that the command can be stopped and given again with more of anything.
"""

import argparse
import csv
import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx

import class_data
import common

FIELDS = [
    "net", "goal", "inputs", "seed", "given", "accuracy", "agreement", "floor", "disagree_at_most",
    "params", "macs", "cost", "seconds",
]  # fmt: skip


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of runs and tables")
    parser.add_argument("--data", type=Path, required=True, help="IDX files, or train/CLASS/IMAGE")
    parser.add_argument("--nets", type=Path, nargs="+", required=True, help="files of `train`")
    parser.add_argument("--goals", nargs="+", default=["macs=0.5", "params=0.14,0.06", "aec=2"],
                        help="budgets of CECA, or aec=POINTS")  # fmt: skip
    parser.add_argument("--inputs", nargs="+", default=["labels", "all", "5000", "500"],
                        help="labels: all with them; all; a number: so many, without")  # fmt: skip
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--secateur", type=Path, default=common.PROGRAM)
    parser.add_argument("--config", type=Path, help="settings of all runs (TOML)")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def tell(command):
    """Runs a command; what it says."""
    command = [str(word) for word in command]
    print("$", shlex.join(command), flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{done.stdout}{done.stderr}\nexit code {done.returncode}")
    return done.stdout


def given_file(args, net, inputs):
    """The file to prune: of few inputs one that does not say which images it was trained on, as
    files of others do not."""
    if not inputs.isdigit():
        return net
    path = args.out / f"{net.stem}.unsplit.onnx"
    if not path.exists():
        model = onnx.load(net)
        kept = [entry for entry in model.metadata_props if entry.key != "secateur.split"]
        del model.metadata_props[:]
        model.metadata_props.extend(kept)
        onnx.save(model, path)
    return path


def run(args, net, goal, inputs, seed):
    """The report of a run, which is made or finished where it is missing."""
    out = args.out / f"{net.stem}.{goal}.{inputs}.{seed}.onnx"
    folder = out.with_suffix(".run")
    if not (folder / "report.json").exists():
        data = class_data.some(args.data, args.out, inputs) if inputs.isdigit() else args.data
        way = ["--mode", "ceca", "--budget", goal]
        if goal.startswith("aec="):
            way = ["--mode", "aec", "--max-drop", goal.removeprefix("aec=")]
        command = [args.secateur, "prune", given_file(args, net, inputs), "--data", data, *way]
        command += ["--seed", seed, "--threads", args.threads, "-o", out, "--run-dir", folder]
        command += [] if inputs == "labels" else ["--labels", "none"]
        command += ["--config", args.config] if args.config else []
        command += ["--resume"] if (folder / "checkpoint.bin").exists() else []
        tell(command)
    return out, json.loads((folder / "report.json").read_text())


def against(args, file, *original):
    """Accuracy of a file on the test images, or its agreement with another."""
    command = [args.secateur, "eval", file, "--data", args.data, "--split", "test", "--json"]
    return json.loads(tell([*command, "--threads", args.threads, *original]))["quality"]


def rows(args, net, goal, inputs, seed, known):
    """A row for each network of a run; those that are known are not measured again."""
    out, report = run(args, net, goal, inputs, seed)
    for after in report["after"]:
        label = goal if goal.startswith("aec") else after["label"]
        key = (net.stem, label, inputs, str(seed))
        if key in known:
            yield known[key]
            continue
        file = out.parent / after["file"]
        disagreement = after["test_disagreement"] or {}
        yield {
            "net": net.stem,
            "goal": label,
            "inputs": inputs,
            "seed": str(seed),
            "given": against(args, net),
            "accuracy": against(args, file),
            "agreement": against(args, file, "--original", net, "--labels", "none"),
            "floor": report["floor"] if goal.startswith("aec") else "",
            "disagree_at_most": disagreement.get("at_most", ""),
            "params": after["size"]["params"] / report["before"]["size"]["params"],
            "macs": after["size"]["macs"] / report["before"]["size"]["macs"],
            "cost": report["search_sample_macs"] / report["training_sample_macs"],
            "seconds": report["search_seconds"],
        }


def markdown(table):
    """Means over seeds, beside those of the run with labels."""
    lines = [
        "| network | goal | inputs | seeds | given | accuracy | against labels | agreement |"
        " parameters | MACs | cost |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    cells = {}
    for row in table:
        cells.setdefault((row["net"], row["goal"], row["inputs"]), {})[row["seed"]] = row
    for (net, goal, inputs), by_seed in cells.items():
        values = by_seed.values()
        mean = lambda field: float(np.mean([float(row[field]) for row in values]))  # noqa: E731
        labelled = cells.get((net, goal, "labels"), {})
        pairs = [
            float(row["accuracy"]) - float(labelled[seed]["accuracy"])
            for seed, row in by_seed.items()
            if seed in labelled and inputs != "labels"
        ]
        beside = f"{100 * np.mean(pairs):+.2f}" if pairs else ""
        lines.append(
            f"| {net} | {goal} | {inputs} | {len(by_seed)} | {100 * mean('given'):.2f} |"
            f" {100 * mean('accuracy'):.2f} | {beside} | {100 * mean('agreement'):.2f} |"
            f" {mean('params'):.3f} | {mean('macs'):.3f} | {mean('cost'):.3f} |"
        )
    floors = [row for row in table if row["floor"] != "" and row["inputs"] != "labels"]
    for row in floors:
        disagree, at_most = 1 - float(row["agreement"]), float(row["disagree_at_most"])
        lines.append(
            f"\n{row['net']}, {row['goal']}, {row['inputs']}, seed {row['seed']}: floor"
            f" {100 * float(row['floor']):.2f}, agreement on the test part"
            f" {100 * (1 - disagree):.2f}, at least {100 * (1 - at_most):.2f}"
        )
    return "\n".join(lines) + "\n"


def main():
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    csv_file, known = args.out / "table.csv", {}
    if csv_file.exists():
        with csv_file.open() as file:
            for row in csv.DictReader(file):
                known[row["net"], row["goal"], row["inputs"], row["seed"]] = row
    for seed in args.seeds:
        for net in args.nets:
            for goal in args.goals:
                for inputs in args.inputs:
                    for row in rows(args, net, goal, inputs, seed, known):
                        known[row["net"], row["goal"], row["inputs"], row["seed"]] = row
                    with csv_file.open("w") as file:
                        writer = csv.DictWriter(file, FIELDS)
                        writer.writeheader()
                        writer.writerows(known.values())
                    (args.out / "table.md").write_text(markdown(known.values()))
    print(markdown(known.values()))


if __name__ == "__main__":
    main()
