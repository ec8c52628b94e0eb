"""Budgets of latency against budgets of multiply-adds and parameters, without training.

Every network is pruned to each budget with solved weights (`prune --no-train --calibrate`), the files
are timed in turn with the given one (`bench`), and the errors of the outputs on held-out inputs stand
beside the times. For each other budget the latency at its error is read off the line through the
networks of the latency budgets. `inspect --latency` tells how far the table of times is off.

    python compare.py --secateur ../../target/release/secateur --threads 1 --out out \
        vgg.onnx=cifar10 yolo.onnx=photos
"""

import argparse
import json
import math
import subprocess
from pathlib import Path

LATENCIES = [0.8, 0.65, 0.5, 0.4]
OTHERS = ["macs=0.5", "params=0.5"]


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    return json.loads(done.stdout)


def root_of_mean(values):
    return math.sqrt(sum(v * v for v in values) / len(values))


def prune(args, model, data, budget, output):
    kept = output.with_suffix(".json")
    if not kept.exists():
        command = [args.secateur, "prune", str(model), "--data", data, "--no-train", "--calibrate"]
        command += ["--calibration-images", str(args.images), "--budget", budget]
        command += ["--threads", str(args.threads), "-o", str(output), "--json"]
        kept.write_text(json.dumps(run(command)))
    report = json.loads(kept.read_text())
    after = report["after"][0]
    errors = [output["solved"] for output in after["calibrated"]["outputs"]]
    size = {key: after["size"][key] / report["before"]["size"][key] for key in ("params", "macs")}
    quality = [f"{kept['name']} {100 * kept['solved']:.1f} %" for kept in after["calibrated"]["kept"]
               if isinstance(kept.get("solved"), float) and kept["solved"] <= 1]
    return {"budget": budget, "file": str(output), "error": root_of_mean(errors), **size,
            "quality": ", ".join(quality[:1]), "timed": after.get("timed")}


def at_error(rows, error):
    """Latency of the latency budgets' networks at an error, on the line between the nearest two."""
    points = sorted((row["error"], row["share"]) for row in rows)
    for (e0, s0), (e1, s1) in zip(points, points[1:]):
        if e0 <= error <= e1:
            return s0 + (s1 - s0) * (error - e0) / max(e1 - e0, 1e-12)
    return None


def compare(args, model, data):
    name = model.stem
    out = args.out / f"{name}-{args.threads}"
    out.mkdir(parents=True, exist_ok=True)
    threads = ["--threads", str(args.threads)]
    table = run([args.secateur, "inspect", str(model), "--latency", *threads,
                 "--latency-checks", str(args.checks), "--json"])["latency"]
    budgets = OTHERS + [f"latency={share}" for share in args.latencies]
    rows = [prune(args, model, data, budget, out / f"{budget}.onnx") for budget in budgets]
    files = [str(model)] + [row["file"] for row in rows]
    times = run([args.secateur, "bench", *files, "--batch", "1", "--rounds", str(args.rounds),
                 *threads, "--json"])
    times = [entry["latency"][0] for entry in times]
    for row, time in zip(rows, times[1:]):
        row.update(ms=time["min_ms"], median_ms=time["median_ms"])
        row["share"] = time["min_ms"] / times[0]["min_ms"]
    latencies = [row for row in rows if row["budget"].startswith("latency")]
    for row in rows:
        row["at_error"] = None if row in latencies else at_error(latencies, row["error"])
    errors = sorted(abs(c["predicted_ms"] / c["measured_ms"] - 1) for c in table["checks"])
    return {"network": name, "engine": times[0]["engine"], "given_ms": times[0]["min_ms"],
            "given_median_ms": times[0]["median_ms"], "table": {
                "block": (table["block"] or {}).get("size"), "middle": errors[len(errors) // 2],
                "ninety": errors[int(0.9 * (len(errors) - 1))], "worst": errors[-1],
                "networks": len(errors)}, "rows": rows}


def markdown(results):
    lines = []
    for result in results:
        table = result["table"]
        lines += ["", f"### {result['network']}", "",
                  f"{result['engine']}, batch 1: {result['given_ms']:.3f} ms (median "
                  f"{result['given_median_ms']:.3f}). Block {table['block']}; the table is off by "
                  f"{100 * table['middle']:.1f} % in the middle of {table['networks']} random networks, by at "
                  f"most {100 * table['ninety']:.1f} % in nine of ten, {100 * table['worst']:.1f} % at worst.", "",
                  "| budget | parameters | multiply-adds | latency, ms: least / median | of the given | error "
                  "of outputs | kept | latency of the latency budgets at that error | faster by |",
                  "|---|---|---|---|---|---|---|---|---|"]
        for row in result["rows"]:
            at = row["at_error"]
            share_at, faster = (f"{100 * at:.1f} %", f"{row['share'] / at:.2f}") if at else ("-", "-")
            lines.append(
                f"| {row['budget']} | {100 * row['params']:.1f} % | {100 * row['macs']:.1f} % "
                f"| {row['ms']:.3f} / {row['median_ms']:.3f} | {100 * row['share']:.1f} % "
                f"| {row['error']:.3f} | {row['quality']} "
                f"| {share_at} | {faster} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="+", metavar="MODEL=DATA")
    parser.add_argument("--secateur", default="../../target/release/secateur")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--images", type=int, default=512)
    parser.add_argument("--checks", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--latencies", type=float, nargs="+", default=LATENCIES)
    parser.add_argument("--out", type=Path, default=Path("out"))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    kept = args.out / f"results-{args.threads}.json"
    results = json.loads(kept.read_text()) if kept.exists() else []
    for text in args.networks:
        model, data = text.rsplit("=", 1)
        result = compare(args, Path(model), data)
        results = [other for other in results if other["network"] != result["network"]] + [result]
        kept.write_text(json.dumps(results, indent=1))
        (args.out / f"table-{args.threads}.md").write_text(markdown(results))
        print(markdown([result]), flush=True)


if __name__ == "__main__":
    main()
