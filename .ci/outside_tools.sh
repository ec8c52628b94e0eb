#!/usr/bin/env bash
# Trains and prunes a small network, then holds the files against the Python onnx
# checker and onnxruntime. Usage: outside_tools.sh SCRATCH (with a venv in it).
set -euo pipefail
scratch=$1
secateur=target/release/secateur
"$secateur" train --data data/mnist --widths 8,M,12,M --hidden 24 --epochs 0.2 -o "$scratch/net.onnx"
cat > "$scratch/run.toml" <<'TOML'
mode = { kind = "ceca", budgets = [{ metric = "params", remaining = 0.5 }, { metric = "params", remaining = 0.25 }], max_drop = 0.0 }
[search]
exchange_epochs = 1
recover_steps = 20
ablation_images = 50
TOML
"$secateur" prune "$scratch/net.onnx" --data data/mnist --config "$scratch/run.toml" -o "$scratch/small.onnx"
for small in "$scratch"/small.params-*.onnx; do
  "$secateur" verify "$scratch/net.onnx" "$small"
done
"$scratch/venv/bin/python" .ci/check_onnx.py target/release/examples/outputs \
  "$scratch/net.onnx" "$scratch"/small.params-*.onnx
"$scratch/venv/bin/python" fixtures/check.py target/release/examples/halve
