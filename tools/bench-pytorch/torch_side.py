"""The PyTorch side of the comparison: answers requests on standard input.

A request is `<net> <train|infer> <format> <steps>`; the answer is one line of JSON with the
seconds of every step, and the process's peak memory. Networks, batches and optimiser are
those of the example `steps` of `secateur-net`; a network `NAME@SIZE` is one of torchvision's, for
images of so many pixels a side, which `<net> export <file>` writes as ONNX for the other side.
`infer-folded` folds the batch norms into the convolutions; `none` runs nothing.
"""

import contextlib
import json
import os
import resource
import sys
import time

import torch
from torch import nn
from torch.fx.experimental.optimization import fuse

CLASSES = 10
DIGITS, PHOTOS = (1, 28, 28), (3, 32, 32)
PLAIN = {
    "vgg": [32, 32, "M", 64, 64, "M", 128, 128, 128, "M"],
    "slim": [8, 16, "M", 16, 16, "M", 24, 24, 24, "M"],
    "tiny": [5, 6, "M", 10, 10, "M", 20, 20, 20, "M"],
}
VGG16 = [32, 32, "M", 64, 64, "M", 128, 128, 128, "M", 256, 256, 256, "M", 256, 256, 256, "M"]


def conv_bn(c_in, c_out, kernel, stride=1, groups=1, activation=True):
    layers = [
        nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(c_out),
    ]
    if activation:
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


def plain(widths, shape):
    layers, (c, side, _) = [], shape
    for width in widths:
        if width == "M":
            layers.append(nn.MaxPool2d(2))
            side //= 2
        else:
            layers.append(conv_bn(c, width, 3))
            c = width
    layers += [nn.Flatten(), nn.Linear(c * side * side, 128), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.Linear(128, CLASSES))


class Residual(nn.Module):
    def __init__(self, body, shortcut, activation):
        super().__init__()
        self.body, self.shortcut = body, shortcut
        self.activation = nn.ReLU(inplace=True) if activation else nn.Identity()

    def forward(self, x):
        return self.activation(self.body(x) + self.shortcut(x))


def resnet20():
    layers, c = [conv_bn(3, 16, 3)], 16
    for stage, width in enumerate([16, 32, 64]):
        for block in range(3):
            stride = 2 if stage > 0 and block == 0 else 1
            body = nn.Sequential(
                conv_bn(c, width, 3, stride), conv_bn(width, width, 3, activation=False)
            )
            same = stride == 1 and c == width
            shortcut = nn.Identity() if same else conv_bn(c, width, 1, stride, activation=False)
            layers.append(Residual(body, shortcut, activation=True))
            c = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c, CLASSES))


def mobilenet():
    stages = [(1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2)]
    stages += [(6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    layers, c = [conv_bn(3, 32, 3)], 32
    for expansion, width, blocks, first_stride in stages:
        for block in range(blocks):
            stride = first_stride if block == 0 else 1
            inner = c * expansion
            body = [conv_bn(c, inner, 1)] if expansion > 1 else []
            body.append(conv_bn(inner, inner, 3, stride, groups=inner))
            body.append(conv_bn(inner, width, 1, activation=False))
            body = nn.Sequential(*body)
            if stride == 1 and c == width:
                body = Residual(body, nn.Identity(), activation=False)
            layers.append(body)
            c = width
    layers += [conv_bn(c, 1280, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return nn.Sequential(*layers, nn.Linear(1280, CLASSES))


def torchvision_net(name, size):
    import torchvision

    return torchvision.models.get_model(name, num_classes=CLASSES), (3, size, size)


def build(name):
    if name in PLAIN:
        return plain(PLAIN[name], DIGITS), DIGITS
    if "@" in name:
        name, size = name.split("@")
        return torchvision_net(name, int(size))
    nets = {"resnet": resnet20, "mobile": mobilenet, "vgg16": lambda: plain(VGG16, PHOTOS)}
    return nets[name](), PHOTOS


def batch(shape):
    return 16 if shape[1] * shape[2] > 64 * 64 else 128


def export(name, path):
    """Writes the network as ONNX, norms as they are."""
    torch.manual_seed(0)
    model, shape = build(name)
    with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing):
        torch.onnx.export(
            model.eval(), torch.randn(1, *shape), path, dynamo=False, opset_version=17,
            training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False,
            input_names=["x"], output_names=["y"], dynamic_axes={"x": {0: "n"}, "y": {0: "n"}},
        )  # fmt: skip


class Case:
    """A network with its optimiser and batch, in one memory format."""

    def __init__(self, name, kind, memory_format):
        torch.manual_seed(0)
        model, shape = build(name)
        self.kind = kind
        layout = torch.channels_last if memory_format == "channels_last" else torch.contiguous_format
        self.x = torch.randn(batch(shape), *shape).contiguous(memory_format=layout)
        self.labels = torch.randint(0, CLASSES, (batch(shape),))
        if kind == "train":
            self.model = model.to(memory_format=layout).train()
            self.optimizer = torch.optim.SGD(
                model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4, fused=True
            )
        else:
            model = model.eval()
            if kind == "infer-folded":
                model = fuse(model)
            self.model = model.to(memory_format=layout)

    def step(self):
        if self.kind == "train":
            self.optimizer.zero_grad(set_to_none=True)
            loss = nn.functional.cross_entropy(self.model(self.x), self.labels)
            loss.backward()
            self.optimizer.step()
            return loss.item()
        with torch.inference_mode():
            return self.model(self.x)[0, 0].item()


def main():
    torch.set_num_threads(int(sys.argv[1]))
    cases = {}
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads()}), flush=True)
    for line in sys.stdin:
        name, kind, *rest = line.split()
        if kind == "export":
            export(name, rest[0])
            print(json.dumps({}), flush=True)
            continue
        memory_format, steps = rest
        key = (name, kind, memory_format)
        if kind != "none" and key not in cases:
            cases[key] = Case(*key)
            cases[key].step()
            cases[key].step()
        seconds = []
        for _ in range(int(steps)):
            start = time.perf_counter()
            cases[key].step()
            seconds.append(time.perf_counter() - start)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"seconds": seconds, "peak_rss": peak}), flush=True)


main()
