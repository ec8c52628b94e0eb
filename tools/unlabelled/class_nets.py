"""Trains the networks of `classes.py`: VGG-like, ResNet-20 and MobileNetV2 for small images."""

import argparse
import shlex
import subprocess
from pathlib import Path

import torch
from torch import nn

import common

# A VGG-16 of a quarter of the width.
VGG_WIDTHS = "16,16,M,32,32,M,64,64,64,M,128,128,128,M,128,128,128,M"
MNIST_WIDTHS = "16,16,M,32,32,M,64,64,64,M"


def conv(c_in, c_out, size=3, stride=1, groups=1, act=nn.ReLU):
    layers = [
        nn.Conv2d(c_in, c_out, size, stride, size // 2, groups=groups, bias=False),
        nn.BatchNorm2d(c_out),
    ]
    return nn.Sequential(*layers, *([act()] if act else []))


class Residual(nn.Module):
    def __init__(self, inner, shortcut, act):
        super().__init__()
        self.inner, self.shortcut, self.act = inner, shortcut, act

    def forward(self, x):
        return self.act(self.inner(x) + self.shortcut(x))


def resnet20(channels):
    """He et al., CVPR 2016, arXiv:1512.03385, section 4.2, with 1x1 shortcuts."""
    layers, c_in = [conv(channels, 16)], 16
    for width in (16, 32, 64):
        for block in range(3):
            stride = 2 if width > 16 and block == 0 else 1
            inner = nn.Sequential(conv(c_in, width, stride=stride), conv(width, width, act=None))
            same = c_in == width
            shortcut = nn.Identity() if same else conv(c_in, width, 1, stride, act=None)
            layers.append(Residual(inner, shortcut, nn.ReLU()))
            c_in = width
    return [*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]


def mobilenet(channels):
    """Sandler et al., CVPR 2018, arXiv:1801.04381, of half the width and with the strides of its
    first two stages taken out, as for images of 32 x 32."""
    layers, c_in = [conv(channels, 16, act=nn.ReLU6)], 16
    stages = [(1, 8, 1, 1), (6, 12, 2, 1), (6, 16, 3, 2), (6, 32, 4, 2), (6, 48, 3, 1),
              (6, 80, 3, 2), (6, 160, 1, 1)]  # fmt: skip
    for expand, width, blocks, stride in stages:
        for block in range(blocks):
            step, inside = stride if block == 0 else 1, c_in * expand
            inner = [conv(c_in, inside, 1, act=nn.ReLU6)] if expand > 1 else []
            inner.append(conv(inside, inside, 3, step, groups=inside, act=nn.ReLU6))
            inner = nn.Sequential(*inner, conv(inside, width, 1, act=None))
            same = step == 1 and c_in == width
            layers.append(Residual(inner, nn.Identity(), nn.Identity()) if same else inner)
            c_in = width
    layers += [conv(c_in, 640, 1, act=nn.ReLU6), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return [*layers, nn.Linear(640, 10)]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True, help="as of classes.py")
    parser.add_argument("--nets", nargs="+", default=["vgg", "resnet20", "mobilenet"])
    parser.add_argument("--size", type=int, nargs=3, default=[3, 32, 32], help="channels, sides")
    parser.add_argument("--epochs", default="8")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", default="2")
    parser.add_argument("--secateur", type=Path, default=common.PROGRAM)
    parser.add_argument("train", nargs=argparse.REMAINDER, help="further options of `train`")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.nets:
        out = args.out / f"{args.data.name}-{name}.onnx"
        if out.exists():
            continue
        if name == "vgg":
            net = ["--widths", VGG_WIDTHS if args.size[1] == 32 else MNIST_WIDTHS]
        else:
            torch.manual_seed(args.seed)
            net = nn.Sequential(*{"resnet20": resnet20, "mobilenet": mobilenet}[name](args.size[0]))
            start = args.out / f"{name}.init.onnx"
            torch.onnx.export(
                net.eval(), torch.zeros(1, *args.size), start, dynamo=False, input_names=["x"],
                output_names=["y"], dynamic_axes={"x": {0: "n"}, "y": {0: "n"}},
                training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False,
            )  # fmt: skip
            net = ["--init", start]
        command = [args.secateur, "train", "--data", args.data, *net, "--epochs", args.epochs]
        command += ["--seed", args.seed, "--threads", args.threads, *args.train, "-o", out]
        print("$", shlex.join(map(str, command)), flush=True)
        subprocess.run([str(word) for word in command], check=True)


if __name__ == "__main__":
    main()
