"""Writes the tables of docs/coverage.md between its marks; the prose around them stays, and so do
the rows that were not run again."""

import re

BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"


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
    if line.get("weak"):
        return "passes, weakly: the output hardly depends on the removal"
    return "passes"


OURS = (
    "| model | exporter | channels free | parameters, millions | MACs, millions | surgery, s | peak, MB "
    "| difference | effect | result | run |"
)
PEERS = "| model | parameters, millions | result | run |"

# Runs before rows had dates.
EARLIER = "2026-11-26"

SECTIONS = {
    "networks": "torchvision, the package `onnx`, and networks of this project",
    "timm": "timm",
    "files": "Other kinds of files",
    "packages": "Files that Python packages ship",
}
PLAIN = {"file", "filled", "torchscript", "dynamo"}


def ours(line):
    name = f"| {line['model']} | {line['exporter']} "
    end = f"| {result(line).replace('|', '/')} | {line['date']} |"
    if "after" not in line:
        return f"{name}| | | | | | | {end}"
    seconds = sum(line["seconds"].values())
    compared = [f"{line[k]:.1e}" if line.get(k) is not None else "" for k in ("difference", "effect")]
    return (
        f"{name}| {line['free_channels']} of {line['channels']} | {cut(line, 'params')} | {cut(line, 'macs')} "
        f"| {seconds:.2f} | {line['peak_bytes'] / 1e6:.0f} | {compared[0]} | {compared[1]} {end}"
    )


def peer(line):
    params = cut(line, "params") if "after" in line else ""
    return f"| {line['model']} | {params} | {result(line) if not line['ok'] else 'runs'} | {line['date']} |"


def cells(row):
    return [cell.strip() for cell in row.strip().strip("|").split("|")]


def kept(text):
    """The rows that the page has, by model and exporter (`torch-pruning` for those of the peer)."""
    found = {}
    for row in text.splitlines():
        parts = cells(row)
        if not row.startswith("| ") or parts[0] == "model":
            continue
        own = len(parts) > 4
        if len(parts) == (10 if own else 3):
            row = f"{row} {EARLIER} |"
        found[parts[0], parts[1] if own else "torch-pruning"] = row
    return found


def section(key):
    model, exporter = key
    if exporter in ("torch-pruning", "package"):
        return "packages" if exporter == "package" else exporter
    if exporter.split("+")[0] not in PLAIN:
        return "files"
    return "timm" if model.startswith("timm:") else "networks"


def passed(rows):
    """A row passes where its last cell but one says so."""
    good = sum(cells(row)[-2].startswith(("passes", "runs")) for row in rows)
    return f"{good} of {len(rows)} pass."


def tables(rows):
    of = lambda name: [rows[key] for key in sorted(rows) if section(key) == name]
    own = [row for name in SECTIONS for row in of(name)]
    yield from ["", "## secateur", "", passed(own), ""]
    for name, title in SECTIONS.items():
        if of(name):
            yield from [f"### {title}", "", passed(of(name)), "", OURS, "|---" * 11 + "|", *of(name), ""]
    theirs = of("torch-pruning")
    yield from ["## Torch-Pruning", "", passed(theirs), "", PEERS, "|---" * 4 + "|", *theirs, ""]


def write(path, lines):
    """Rows of the lines take the places of those on the page; the others stay."""
    text = path.read_text()
    head, rest = text.split(BEGIN)
    table, tail = rest.split(END)
    rows = kept(table)
    for line in lines:
        row = peer(line) if line["exporter"] == "torch-pruning" else ours(line)
        rows[line["model"], line["exporter"]] = row
    path.write_text(f"{head}{BEGIN}\n" + "\n".join(tables(rows)) + f"\n{END}{tail}")
