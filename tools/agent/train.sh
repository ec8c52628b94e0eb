#!/bin/sh
# Teaches agents how much layers' errors matter, on networks that it trains first, and makes what new agents
# are to know of it at the start.
#
#   tools/agent/train.sh SECATEUR TEACH PYTHON MNIST CIFAR10 WORK
#
# SECATEUR is the program, TEACH the example of secateur-search, PYTHON has what nets.py needs, MNIST and CIFAR10
# are folders of data; everything lies in WORK, which may exist: what is whole there is not made again.
# Ends with WORK/shipped.bin, which crates/secateur-search/src/agent/shapes/shipped.bin is a copy of.
set -eu
secateur=$1 teach=$2 python=$3 mnist=$4 cifar=$5 work=$6
here=$(dirname "$0")
mkdir -p "$work/begun" "$work/runs" "$work/agents"
[ -e "$work/begun/in-parts.onnx" ] || "$python" "$here/nets.py" "$work/begun"

train() { # NAME DATA ARGUMENTS...
    name=$1 data=$2
    shift 2
    [ -e "$work/$name.onnx" ] || "$secateur" train --data "$data" -o "$work/$name.onnx" "$@"
}
photographs() { # NAME ARGUMENTS...
    name=$1
    shift
    train "$name" "$cifar" --flip --max-shift 4 "$@"
}
photographs vgg --epochs 8 --hidden 128 --seed 5 \
    --widths 16,16,M,32,32,M,64,64,64,M,128,128,128,M,128,128,128,M
photographs residual --arch resnet-20 --epochs 8 --seed 5
for name in basic bottleneck; do
    photographs $name --init "$work/begun/$name.onnx" --epochs 4 --seed 11
done
for name in dense inception excited in-parts; do
    photographs $name --init "$work/begun/$name.onnx" --epochs 2 --seed 11
done
train digits-vgg "$mnist" --epochs 2
train digits-residual "$mnist" --arch resnet-20 --epochs 2
train digits-mobile "$mnist" --arch mobilenet-v2 --epochs 2

# Sixteen networks of other widths for each budget, no recovery: only looks teach.
cat > "$work/teach.toml" <<'SETTINGS'
[search]
recover_steps = 8
recover_tries = 1
ablation_images = 0
explore_episodes = 4
agent_updates = 20
[agent]
pretrained = false
width_noise = 0.5
SETTINGS
look() { # NAME DATA BUDGETS...
    name=$1 data=$2
    shift 2
    for budget; do
        run=$work/runs/$name.$budget
        [ -e "$run.done" ] && continue
        rm -rf "$run.onnx.run"
        "$secateur" prune "$work/$name.onnx" --data "$data" --mode ceca --budget "$budget" --seed 3 --max-cost 8 \
            --force --config "$work/teach.toml" --learn-into "$work/agents/$name.safetensors" -o "$run.onnx"
        touch "$run.done"
    done
}
look vgg "$cifar" macs=0.3 params=0.1
look residual "$cifar" macs=0.5 macs=0.3
look basic "$cifar" macs=0.5 macs=0.2
for name in bottleneck dense inception excited in-parts; do
    look $name "$cifar" macs=0.5 macs=0.25
done
look digits-vgg "$mnist" macs=0.3 params=0.06
look digits-residual "$mnist" macs=0.5 macs=0.2
look digits-mobile "$mnist" macs=0.5 macs=0.25

"$teach" "$work/shipped.bin" "$work"/agents/*.safetensors
