#!/bin/sh
# Teaches an agent how much layers' errors matter, on networks that it trains first, and takes what agents
# are to know at the start out of its file.
#
#   tools/agent/train.sh SECATEUR MNIST CIFAR10 WORK
#
# SECATEUR is the program, MNIST and CIFAR10 are folders of data; everything lies in WORK, which may
# exist: what is whole there is not made again. Ends with WORK/shipped.bin, which
# crates/secateur-search/src/agent/shapes/shipped.bin is a copy of.
set -eu
secateur=$1 mnist=$2 cifar=$3 work=$4
here=$(dirname "$0")
mkdir -p "$work"

train() { # NAME DATA ARGUMENTS...
    name=$1 data=$2
    shift 2
    [ -e "$work/$name.onnx" ] || "$secateur" train --data "$data" -o "$work/$name.onnx" "$@"
}
train vgg "$cifar" --epochs 8 --flip --max-shift 4 --hidden 128 \
    --widths 16,16,M,32,32,M,64,64,64,M,128,128,128,M,128,128,128,M
train residual "$cifar" --arch resnet-20 --epochs 4 --flip --max-shift 4
train digits "$mnist" --seed 1

# Twenty networks of other widths for each, no recovery: only looks teach.
cat > "$work/teach.toml" <<'SETTINGS'
[search]
recover_steps = 8
recover_tries = 1
ablation_images = 0
explore_episodes = 5
agent_updates = 100
[agent]
pretrained = false
width_noise = 0.4
SETTINGS
seed=0
teach() { # NAME DATA BUDGET
    seed=$((seed + 1))
    run=$work/$seed-$1
    [ -e "$run.onnx" ] && return
    rm -rf "$run.onnx.run"
    "$secateur" prune "$work/$1.onnx" --data "$2" --budget "$3" --seed "$seed" \
        --max-cost 4 --config "$work/teach.toml" --learn-into "$work/agent.safetensors" -o "$run.onnx"
}
teach vgg "$cifar" params=0.1
teach residual "$cifar" macs=0.5
teach digits "$mnist" params=0.06
teach residual "$cifar" macs=0.3
teach vgg "$cifar" macs=0.25

python3 "$here/shapes.py" "$work/agent.safetensors" "$work/shipped.bin"
