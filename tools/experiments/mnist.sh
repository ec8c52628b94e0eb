#!/usr/bin/env bash
# The experiments on MNIST: for each seed a VGG-like network trained for 6 epochs, then
# AEC, CECA through several budgets, and every yardstick policy at equal cost.
#
# Usage: tools/experiments/mnist.sh OUT [SEED...]     (default seeds 0 1 2; about 20 minutes
# a seed on 2 cores). What exists in OUT is not run again. Ends with the table of
# docs/experiments.
#
# POLICIES: yardsticks to run (default: all); BUDGETS: shares of the parameters that remain.
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:?"usage: mnist.sh OUT [SEED...]"}
shift
seeds=("${@:-0 1 2}")
read -r -a seeds <<<"${seeds[*]}"
read -r -a policies <<<"${POLICIES-random-global l2-uniform l2-global taylor-global}"
budgets=${BUDGETS:-params=0.14,0.06,0.02}

cargo build --release
cargo build --release --example experiment_table
secateur=target/release/secateur
mkdir -p "$out"

# run NAME ARGS...: prunes unless the report is there; an interrupted run goes on.
run() {
  local name=$1 resume=()
  shift
  [ -f "$out/$name.run/report.json" ] && return
  [ -f "$out/$name.run/checkpoint.bin" ] && resume=(--resume)
  echo "== $name"
  "$secateur" prune "$net" --data data/mnist --seed "$seed" -o "$out/$name.onnx" \
    --run-dir "$out/$name.run" "${resume[@]}" "$@"
}

for seed in "${seeds[@]}"; do
  net=$out/net-$seed.onnx
  [ -f "$net" ] || "$secateur" train --data data/mnist --epochs 6 --seed "$seed" -o "$net"
  run "aec-$seed" --mode aec
  run "ceca-$seed" --mode ceca --budget "$budgets"
  for policy in "${policies[@]}"; do
    run "ceca-$policy-$seed" --mode ceca --budget "$budgets" --policy "$policy"
  done
done
target/release/examples/experiment_table "$out"/*.run/report.json
