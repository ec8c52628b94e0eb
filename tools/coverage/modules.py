"""Takes PyTorch modules through `secateur.torch.prune`, and writes docs/modules.md.

Usage: python3 tools/coverage/modules.py RESULTS [--only GLOB] [--table]

Run by a Python that has the packages of run.py and secateur itself. Every finished module is a line of
RESULTS, so a stopped run goes on where it was; `--table` only writes the page.
"""
import argparse
import fnmatch
import json
import pathlib
import subprocess
import sys
import time
import warnings

HERE = pathlib.Path(__file__).resolve().parent
PAGE = HERE.parent.parent / "docs" / "modules.md"

# Shares of the parameters that are tried, one after the other: some networks keep more than half.
BUDGETS = (0.5, 0.7, 0.85, 0.95)

# Outputs of module and file, as share of the largest.
TOLERANCE = 1e-5

# Seconds for one module.
TIME_LIMIT = 900

HEAD = f"""# PyTorch modules

Networks of torchvision, of timm and of our own tools, with random weights, pruned by `secateur.torch.prune`
without training to half of their parameters (or to the share that is told, where they keep more). The
difference is that of the module's outputs from the pruned file's in ONNX Runtime, as share of the largest;
at most {TOLERANCE:.0e} is held. Made by `tools/coverage/modules.py`.

"""


def names():
    import timm_nets
    import zoo

    # Those whose forward makes boxes from data are not narrowed as a whole.
    left_out = [*zoo.DETECTORS, *zoo.SCRIPTED, *zoo.LARGE]
    return [name for name in [*zoo.names(), *timm_nets.names()] if name not in left_out]


def pruned(module, inputs):
    """The pruned module and the share that it was asked to keep."""
    import secateur
    import secateur.torch

    for share in BUDGETS:
        try:
            budget = {"params": share}
            return secateur.torch.prune(module, inputs, no_train=True, budget=budget), share
        except secateur.SettingError as error:
            if "cannot be reached" not in str(error) or share == BUDGETS[-1]:
                raise


def result(name):
    """What came of a module."""
    import torch
    import zoo
    from secateur.torch._check import difference, in_onnxruntime, run

    module, inputs = zoo.build(name)
    small, share = pruned(module, inputs)
    (network,) = small.secateur_report.outputs
    torch.manual_seed(1)
    others = torch.randn_like(inputs)
    count = lambda net: sum(parameter.numel() for parameter in net.parameters())
    return {
        "share": share,
        "before": count(module),
        "after": count(small),
        "difference": difference(in_onnxruntime(network.path, others), run(small, others)),
    }


def in_a_process(name):
    """The same in a process of its own: exporters keep memory, and some crash."""
    started = time.time()
    code = f"import json, modules; print(json.dumps(modules.guarded({name!r})))"
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=HERE, capture_output=True, text=True, timeout=TIME_LIMIT
        )
        found = json.loads(done.stdout.splitlines()[-1]) if done.stdout else {"error": done.stderr[-300:]}
    except subprocess.TimeoutExpired:
        found = {"error": f"took more than {TIME_LIMIT} s"}
    return {"name": name, "seconds": round(time.time() - started, 1), **found}


def guarded(name):
    warnings.simplefilter("ignore")
    try:
        return result(name)
    except Exception as error:
        message = getattr(error, "message", str(error)).splitlines()[0][:400]
        return {"error": f"{type(error).__name__}: {message}"}


def write_page(rows):
    lines = ["| module | kept | parameters | then | difference |\n|---|---|---|---|---|\n"]
    for row in rows:
        if "error" not in row:
            lines.append(
                f"| {row['name']} | {row['share']:g} | {row['before']:,} | {row['after']:,} "
                f"| {row['difference']:.0e} |\n"
            )
    held = [row for row in rows if row.get("difference", 1.0) <= TOLERANCE]
    failed = [row for row in rows if row not in held]
    others = " The others:\n" if failed else ""
    lines.append(f"\n{len(held)} of {len(rows)} hold.{others}\n")
    for row in failed:
        reason = row.get("error") or f"difference {row['difference']:.0e}"
        lines.append(f"- {row['name']}: {reason.replace('|', '/')}\n")
    PAGE.write_text(HEAD + "".join(lines))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=pathlib.Path)
    parser.add_argument("--only", default="*")
    parser.add_argument("--table", action="store_true")
    options = parser.parse_args()
    lines = options.results.read_text().splitlines() if options.results.exists() else []
    rows = [json.loads(line) for line in lines]
    done = {row["name"] for row in rows}
    for name in [] if options.table else names():
        if name in done or not fnmatch.fnmatch(name, options.only):
            continue
        rows.append(in_a_process(name))
        print(rows[-1], flush=True)
        with options.results.open("a") as file:
            file.write(json.dumps(rows[-1]) + "\n")
    write_page(rows)


if __name__ == "__main__":
    main()
