#!/usr/bin/env bash
# Builds the wheel, installs it into a fresh environment, and runs its tests and type checks there.
# Usage: .ci/python.sh SCRATCH
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p "$1"
scratch=$(cd "$1" && pwd)

python3 -m venv "$scratch/build"
"$scratch/build/bin/pip" install --quiet "$(grep -o 'maturin==[0-9.]*' python/pyproject.toml)"
"$scratch/build/bin/maturin" build --quiet --release -m python/Cargo.toml --out "$scratch/wheels"

# Cleared: pip keeps a wheel of the same version that it installed before.
python3 -m venv --clear "$scratch/fresh"
wheel=$(echo "$scratch"/wheels/secateur-*.whl)
# PyTorch takes six gigabytes; where they are not to be had, its tests say that they are skipped.
extras=test,torch
if [ "$(df --output=avail -BG "$scratch" | tail -1 | tr -dc 0-9)" -lt 10 ]; then
  extras=test
  echo 'less than 10 GB are free: the tests go without PyTorch'
fi
"$scratch/fresh/bin/pip" install --quiet --no-cache-dir "$wheel[$extras]"
cd "$scratch"
fresh/bin/pytest -q -c "$OLDPWD/python/pyproject.toml" "$OLDPWD/python/tests"
fresh/bin/python -m mypy.stubtest secateur._secateur
cd "$OLDPWD/python"
"$scratch/fresh/bin/mypy" --cache-dir "$scratch/mypy"
if [[ $extras == *torch* ]]; then
  "$scratch/fresh/bin/mypy" --cache-dir "$scratch/mypy" -p secateur
fi
