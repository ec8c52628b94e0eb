"""Writes untrained networks of kinds that `secateur train` does not build, as OUT/NAME.onnx.

    python nets.py OUT

Small enough to be trained in minutes on 32x32 images: bottlenecks, dense blocks, inception blocks, squeeze
and excitation with depthwise layers, layers in parts. Needs `torch`, `torchvision` and `timm`.
"""

import sys
import warnings
from pathlib import Path

import timm
import torch
import torchvision
from timm.models.resnet import BasicBlock, Bottleneck, ResNet
from torch import nn

CLASSES = 10
SEED = 0


def convolution(inputs, outputs, size):
    """With a batch norm and ReLU."""
    layer = nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU())


class Inception(nn.Module):
    """Four branches side by side."""

    def __init__(self, inputs, one, three, five, pooled):
        super().__init__()
        self.branches = nn.ModuleList(
            [
                convolution(inputs, one, 1),
                nn.Sequential(convolution(inputs, three // 2, 1), convolution(three // 2, three, 3)),
                nn.Sequential(convolution(inputs, five // 2, 1), convolution(five // 2, five, 5)),
                nn.Sequential(nn.MaxPool2d(3, 1, 1), convolution(inputs, pooled, 1)),
            ]
        )

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], 1)


def inception():
    return nn.Sequential(
        convolution(3, 24, 3), convolution(24, 32, 3), nn.MaxPool2d(2),
        Inception(32, 16, 32, 16, 16), Inception(80, 24, 48, 16, 16), nn.MaxPool2d(2),
        Inception(104, 32, 64, 24, 24), Inception(144, 48, 80, 32, 32),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(192, CLASSES),
    )  # fmt: skip


def residual(block, layers, channels):
    """A residual network without the strides of its first layers."""
    net = ResNet(block, layers, num_classes=CLASSES, channels=channels)
    net.conv1, net.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()
    return net


def dense():
    net = torchvision.models.DenseNet(12, (4, 4, 4), 24, num_classes=CLASSES)
    net.features.conv0 = nn.Conv2d(3, 24, 3, padding=1, bias=False)
    net.features.pool0 = nn.Identity()
    return net


def excited():
    net = timm.create_model("mobilenetv3_small_075", num_classes=CLASSES)
    net.conv_stem.stride = (1, 1)
    return net


def in_parts():
    net = timm.create_model("regnetx_002", num_classes=CLASSES)
    net.stem.conv.stride = (1, 1)
    return net


NETS = {
    "basic": lambda: residual(BasicBlock, [1, 1, 1, 1], (24, 48, 96, 128)),
    "bottleneck": lambda: residual(Bottleneck, [2, 2, 2, 1], (16, 32, 64, 64)),
    "dense": dense,
    "inception": inception,
    "excited": excited,
    "in-parts": in_parts,
}


def main(out):
    torch.manual_seed(SEED)
    for name, build in NETS.items():
        image = torch.randn(1, 3, 32, 32)
        with warnings.catch_warnings():
            # The exporter warns of its own deprecated calls.
            warnings.simplefilter("ignore")
            # The older exporter leaves batch norms as layers that can be trained.
            torch.onnx.export(
                build(), (image,), str(out / f"{name}.onnx"), dynamo=False, input_names=["x"],
                dynamic_axes={"x": {0: "n"}}, training=torch.onnx.TrainingMode.PRESERVE,
                do_constant_folding=False,
            )  # fmt: skip


if __name__ == "__main__":
    main(Path(sys.argv[1]))
