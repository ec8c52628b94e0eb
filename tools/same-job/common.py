"""What is there before: the network, its training loop and the data, in PyTorch."""

import gzip
from pathlib import Path

import numpy as np
import torch
from torch import nn

MNIST = Path(__file__).parents[2] / "data" / "mnist"


class Net(nn.Module):
    """Six convolutions with batch norms; 7.3 million multiply-adds."""

    def __init__(self):
        super().__init__()
        layers, last = [], 1
        for width in (16, 16, "M", 32, 32, "M", 64, 64, "M"):
            if width == "M":
                layers.append(nn.MaxPool2d(2))
                continue
            conv = nn.Conv2d(last, width, 3, padding=1, bias=False)
            layers += [conv, nn.BatchNorm2d(width), nn.ReLU()]
            last = width
        self.features = nn.Sequential(*layers)
        self.head = nn.Linear(64 * 9, 10)

    def forward(self, x):
        return self.head(self.features(x).flatten(1))


def images(part):
    """Images as the network takes them, and labels."""

    def read(kind, offset):
        raw = gzip.decompress((MNIST / f"{part}-{kind}-ubyte.gz").read_bytes())
        return np.frombuffer(raw, np.uint8, offset=offset)

    x = read("images-idx3", 16).reshape(-1, 1, 28, 28) / np.float32(255)
    y = read("labels-idx1", 8).astype(np.int64)
    return torch.from_numpy((x - 0.1307) / 0.3081).float(), torch.from_numpy(y)


def train(model, steps, lr):
    """Trains a module for so many steps of 128 images."""
    x, y = images("train")
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=steps)
    generator = torch.Generator().manual_seed(0)
    model.train()
    for _ in range(steps):
        batch = torch.randint(len(x), (128,), generator=generator)
        loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return model.eval()


def export(model, file):
    """Writes a module as ONNX, for any batch."""
    example = torch.zeros(1, 1, 28, 28)
    names = {"input_names": ["x"], "output_names": ["scores"]}
    axes = {"x": {0: "n"}, "scores": {0: "n"}}
    torch.onnx.export(model.eval(), example, file, dynamo=False, dynamic_axes=axes, **names)
