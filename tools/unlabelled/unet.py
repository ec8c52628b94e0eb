"""A U-Net of shapes: true mean IoU (against labels) before the cut, after it, after healing.

    python unet.py train OUT          # 2 to 3 minutes on 2 cores: OUT/unet.onnx, OUT/images
    python unet.py prune --out OUT    # without labels, solved and by the agent
    python unet.py val OUT/unet.onnx  # mean IoU on scenes of its own: for --metric
"""

import sys
import time
from pathlib import Path

import numpy as np

import common
import shapes

SIDE, IMAGES = 48, 1500
VAL_SEED, TEST_SEED = 7001, 7002
N_CLASSES = 1 + len(shapes.CLASSES)


def network(widths=(8, 16, 32)):
    import torch
    from torch import nn

    def double(before, after):
        pairs = ((before, after), (after, after))
        layers = [
            (nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
            for a, b in pairs
        ]
        return nn.Sequential(*(part for layer in layers for part in layer))

    class UNet(nn.Module):
        def __init__(self):
            super().__init__()
            befores = (3, *widths[:-1])
            self.down = nn.ModuleList(double(a, b) for a, b in zip(befores, widths))
            pairs = list(zip(widths[::-1], widths[-2::-1]))
            self.up = nn.ModuleList(nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in pairs)
            self.join = nn.ModuleList(double(2 * b, b) for _, b in pairs)
            self.head = nn.Conv2d(widths[0], N_CLASSES, 1)

        def forward(self, x):
            kept = []
            for level, down in enumerate(self.down):
                x = down(nn.functional.max_pool2d(x, 2) if level else x)
                kept.append(x)
            for up, join, skip in zip(self.up, self.join, kept[-2::-1]):
                x = join(torch.cat([up(x), skip], 1))
            return self.head(x)

    return UNet()


def train(out, epochs=8, batch=32):
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)
    images, masks, _ = shapes.scenes(0, IMAGES, SIDE)
    shapes.save(out / "images", images)
    x, y = torch.from_numpy(shapes.inputs(images)), torch.from_numpy(masks.astype(np.int64))
    net, steps = network(), -(-len(x) // batch) * epochs
    optimizer = torch.optim.AdamW(net.parameters(), 5e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=steps)
    begin = time.time()
    for epoch in range(epochs):
        for part in torch.randperm(len(x)).split(batch):
            loss = torch.nn.functional.cross_entropy(net(x[part]), y[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.4f}, {time.time() - begin:.0f} s", flush=True)
    torch.onnx.export(
        net.eval(),
        x[:1],
        str(out / "unet.onnx"),
        input_names=["image"],
        output_names=["scores"],
        dynamic_axes={"image": {0: "n"}, "scores": {0: "n"}},
        dynamo=False,
    )


def mean_iou(file, seed, count=400):
    """Mean over the classes, ground included, of intersection over union of all pixels."""
    images, masks, _ = shapes.scenes(seed, count, SIDE)
    feeds = ({"image": part} for part in np.split(shapes.inputs(images), count // 50))
    scores = np.concatenate([out[0] for out in common.outputs(file, feeds)])
    found = scores.argmax(1)
    classes = range(N_CLASSES)
    both = [((found == c) & (masks == c)).sum() for c in classes]
    either = [((found == c) | (masks == c)).sum() for c in classes]
    return float(np.mean(np.array(both) / either))


def main():
    if sys.argv[1:2] == ["train"]:
        Path(sys.argv[2]).mkdir(parents=True, exist_ok=True)
        return train(Path(sys.argv[2]))
    if sys.argv[1:2] == ["val"]:
        return print(100 * mean_iou(sys.argv[2], VAL_SEED))
    from labelled import compare

    compare(__doc__.splitlines()[0], "unet", __file__, lambda file: mean_iou(file, TEST_SEED))


if __name__ == "__main__":
    main()
