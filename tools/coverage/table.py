"""Writes the tables of docs/coverage.md between its marks; the prose around them stays."""

import re

BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"
WEAK = 1e-2


def millions(count):
    return f"{count / 1e6:.2f}"


def cut(line, what):
    before, after = line["before"][what], line["after"][what]
    share = f" ({after / before:.0%})" if before else ""
    return f"{millions(before)} → {millions(after)}{share}"


def result(line):
    if not line["ok"]:
        # Exporters colour their messages.
        error = re.sub(r"\x1b\[[0-9;]*m", "", line.get("error", "outputs differ"))
        return f"**{line['step']}**: {error.splitlines()[0][:120]}"
    if line.get("compared") == 0:
        return "passes, weakly: no values to compare"
    if line.get("effect") is not None and line["removed_channels"] and line["effect"] < WEAK:
        return "passes, weakly: the output hardly depends on the removal"
    return "passes"


def ours(lines):
    yield "| model | exporter | channels free | parameters, millions | MACs, millions | surgery, s | peak, MB | difference | effect | result |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for line in lines:
        name = f"| {line['model']} | {line['exporter']} "
        if "after" not in line:
            yield f"{name}| | | | | | | | {result(line)} |"
            continue
        seconds = sum(line["seconds"].values())
        compared = [f"{line[k]:.1e}" if line.get(k) is not None else "" for k in ("difference", "effect")]
        yield (
            f"{name}| {line['free_channels']} of {line['channels']} | {cut(line, 'params')} | {cut(line, 'macs')} "
            f"| {seconds:.2f} | {line['peak_bytes'] / 1e6:.0f} | {compared[0]} | {compared[1]} | {result(line)} |"
        )


def peer(lines):
    yield "| model | parameters, millions | result |"
    yield "|---|---|---|"
    for line in lines:
        params = cut(line, "params") if "after" in line else ""
        yield f"| {line['model']} | {params} | {result(line) if not line['ok'] else 'runs'} |"


def write(path, lines):
    own = [line for line in lines if line["exporter"] != "torch-pruning"]
    theirs = [line for line in lines if line["exporter"] == "torch-pruning"]
    passed = lambda lines: f"{sum(line['ok'] for line in lines)} of {len(lines)} pass."
    own.sort(key=lambda line: (line["model"], line["exporter"]))
    theirs.sort(key=lambda line: line["model"])
    rows = ["", "## secateur", "", passed(own), "", *ours(own), "", "## Torch-Pruning", "", passed(theirs), "", *peer(theirs), ""]
    text = path.read_text()
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    path.write_text(f"{head}{BEGIN}\n" + "\n".join(rows) + f"\n{END}{tail}")
