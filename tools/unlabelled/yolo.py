"""A small detector of shapes, exported as YOLOv8 is: true mAP (against labels) at IoU 0.5 before
the cut, after it, after healing.

    python yolo.py train OUT          # 2 to 3 minutes on 2 cores: OUT/yolo.onnx, OUT/images
    python yolo.py prune --out OUT    # without labels, solved and by the agent
    python yolo.py val OUT/yolo.onnx  # mAP on scenes of its own: for --metric

Grids of strides 8, 16 and 32; no anchors; sides of boxes as distributions of distances; one output
[n, 4 + classes, cells] of centre, size and scores (Ultralytics' export of YOLOv8).
"""

import sys
import time
from pathlib import Path

import numpy as np

import common
import shapes

SIDE, IMAGES = 64, 2000
VAL_SEED, TEST_SEED = 7001, 7002
N_CLASSES, BINS = len(shapes.CLASSES), 8
STRIDES = (8, 16, 32)


def places(torch):
    """Middles of all cells, [2, cells], and their strides, [cells], in pixels."""
    middles, strides = [], []
    for stride in STRIDES:
        at = (torch.arange(SIDE // stride) + 0.5) * stride
        y, x = torch.meshgrid(at, at, indexing="ij")
        middles.append(torch.stack([x.flatten(), y.flatten()]))
        strides.append(torch.full((x.numel(),), float(stride)))
    return torch.cat(middles, 1), torch.cat(strides)


def network(widths=(8, 16, 32, 48, 64)):
    import torch
    from torch import nn

    def conv(before, after, stride=1):
        layer = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        return nn.Sequential(layer, nn.BatchNorm2d(after), nn.SiLU())

    class Stage(nn.Module):
        def __init__(self, before, after):
            super().__init__()
            self.first, self.second, self.third = (
                conv(before, after, 2),
                conv(after, after),
                conv(after, after),
            )

        def forward(self, x):
            x = self.first(x)
            return x + self.third(self.second(x))

    class Detector(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = conv(3, widths[0], 2)
            self.stages = nn.ModuleList(Stage(a, b) for a, b in zip(widths, widths[1:]))
            self.neck = nn.ModuleList(
                conv(a + b, a) for a, b in zip(widths[2:4], widths[3:5])
            )
            n_out = 4 * BINS + N_CLASSES
            self.heads = nn.ModuleList(
                nn.Sequential(conv(width, width), nn.Conv2d(width, n_out, 1))
                for width in widths[2:]
            )
            for head in self.heads:
                nn.init.constant_(head[1].bias[4 * BINS :], -4.0)
            middles, strides = places(torch)
            self.register_buffer("middles", middles[None])
            self.register_buffer("strides", strides[None, None])

        def raw(self, x):
            """Scores of distances [n, 4, bins, cells] and classes [n, classes, cells]."""
            x, levels = self.stem(x), []
            for stage in self.stages:
                x = stage(x)
                levels.append(x)
            levels = levels[1:]
            for index in (1, 0):
                wide = nn.functional.interpolate(levels[index + 1], scale_factor=2.0)
                levels[index] = self.neck[index](torch.cat([levels[index], wide], 1))
            flat = [head(level).flatten(2) for head, level in zip(self.heads, levels)]
            flat = torch.cat(flat, 2)
            sides = flat[:, : 4 * BINS].reshape(-1, 4, BINS, flat.shape[2])
            return sides, flat[:, 4 * BINS :]

        def boxes(self, sides):
            """Left, top, right, bottom in pixels, [n, 4, cells]."""
            bins = torch.arange(BINS, dtype=torch.float32).reshape(1, 1, BINS, 1)
            reach = (sides.softmax(2) * bins).sum(2) * self.strides
            return torch.cat([self.middles - reach[:, :2], self.middles + reach[:, 2:]], 1)

        def forward(self, x):
            sides, scores = self.raw(x)
            low, high = self.boxes(sides).chunk(2, 1)
            return torch.cat([(low + high) / 2, high - low, scores.sigmoid()], 1)

    return Detector()


def wanted(torch, boxes, middles, strides):
    """By cell the class (or none) and the box: cells about the middle, of the level that fits."""
    labels = torch.full((len(boxes), len(strides)), N_CLASSES)
    aims = torch.zeros(len(boxes), 4, len(strides))
    for index, its in enumerate(boxes):
        # Small boxes last, so that they are not hidden by large ones.
        for label, *corners in sorted(its, key=lambda b: -(b[3] - b[1]) * (b[4] - b[2])):
            box = torch.tensor([float(c) for c in corners])
            middle, longest = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]).max()
            level = 8 if longest < 24 else 16 if longest < 40 else 32
            away = (middles - middle[:, None]).abs().amax(0)
            inside = (away < 0.8 * strides) & (strides == level)
            labels[index, inside] = int(label)
            aims[index, :, inside] = box[:, None]
    return labels, aims


def loss(torch, net, sides, scores, labels, aims):
    """Binary cross-entropy of classes; 1 - GIoU and cross-entropy of distances where boxes are."""
    functional = torch.nn.functional
    is_here = labels < N_CLASSES
    n_here = is_here.sum().clamp(min=1)
    right = functional.one_hot(labels, N_CLASSES + 1)[..., :N_CLASSES].transpose(1, 2).float()
    weight = 1 + 3 * right
    by_class = functional.binary_cross_entropy_with_logits(scores, right, weight, reduction="sum")
    found = net.boxes(sides).transpose(1, 2)[is_here]
    aim = aims.transpose(1, 2)[is_here]
    area = lambda b: (b[:, 2:] - b[:, :2]).clamp(min=0).prod(1)
    both = torch.cat([torch.max(found, aim)[:, :2], torch.min(found, aim)[:, 2:]], 1)
    hull = torch.cat([torch.min(found, aim)[:, :2], torch.max(found, aim)[:, 2:]], 1)
    union = area(found) + area(aim) - area(both)
    giou = area(both) / union - (area(hull) - union) / area(hull)
    return (by_class + 2 * (1 - giou).sum()) / n_here


def train(out, epochs=9, batch=32):
    import torch

    torch.manual_seed(0)
    torch.set_num_threads(1)
    images, _, boxes = shapes.scenes(0, IMAGES, SIDE)
    shapes.save(out / "images", images)
    x, net = torch.from_numpy(shapes.inputs(images)), network()
    labels, aims = wanted(torch, boxes, *places(torch))
    steps = -(-len(x) // batch) * epochs
    optimizer = torch.optim.AdamW(net.parameters(), 4e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    begin = time.time()
    for epoch in range(epochs):
        for part in torch.randperm(len(x)).split(batch):
            error = loss(torch, net, *net.raw(x[part]), labels[part], aims[part])
            optimizer.zero_grad()
            error.backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}: loss {error.item():.3f}, {time.time() - begin:.0f} s", flush=True)
    torch.onnx.export(
        net.eval(),
        x[:1],
        str(out / "yolo.onnx"),
        input_names=["images"],
        output_names=["output0"],
        dynamic_axes={"images": {0: "batch"}, "output0": {0: "batch"}},
        dynamo=False,
    )


def overlap(boxes, box):
    low, high = np.maximum(boxes[:, :2], box[:2]), np.minimum(boxes[:, 2:], box[2:])
    both = np.clip(high - low, 0, None).prod(1)
    areas = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None).prod(1)
    return both / (areas + (box[2:] - box[:2]).prod() - both + 1e-9)


def suppressed(corners, scores, least=0.01, most_overlap=0.5):
    """Indices of the boxes of one class that stay, best first."""
    order, kept = [i for i in np.argsort(-scores) if scores[i] > least], []
    for index in order:
        if not kept or overlap(corners[kept], corners[index]).max() < most_overlap:
            kept.append(index)
    return kept


def average_precision(found, boxes_by_image):
    """Area below precision over recall; `found` holds (score, image, box), IoU 0.5."""
    taken = {image: np.zeros(len(boxes), bool) for image, boxes in boxes_by_image.items()}
    hits = []
    for _, image, box in sorted(found, key=lambda one: -one[0]):
        boxes = boxes_by_image.get(image)
        overlaps = np.zeros(1) if boxes is None else np.where(taken[image], 0, overlap(boxes, box))
        hits.append(overlaps.max() >= 0.5)
        if hits[-1]:
            taken[image][overlaps.argmax()] = True
    right = np.cumsum(hits)
    precision = np.maximum.accumulate((right / np.arange(1, len(hits) + 1))[::-1])[::-1]
    recall = right / sum(map(len, boxes_by_image.values()))
    return float(np.sum(np.diff(recall, prepend=0) * precision))


def mean_average_precision(file, seed, count=400):
    images, _, boxes = shapes.scenes(seed, count, SIDE)
    feeds = ({"images": part} for part in np.split(shapes.inputs(images), count // 50))
    rows = np.concatenate([out[0] for out in common.outputs(file, feeds)]).transpose(0, 2, 1)
    each = []
    for label in range(N_CLASSES):
        right = {
            image: np.array([b[1:] for b in its if b[0] == label], np.float32)
            for image, its in enumerate(boxes)
            if any(b[0] == label for b in its)
        }
        found = []
        for image, cells in enumerate(rows):
            centre, size, scores = cells[:, :2], cells[:, 2:4], cells[:, 4 + label]
            corners = np.concatenate([centre - size / 2, centre + size / 2], 1)
            kept = suppressed(corners, scores)
            found += [(scores[i], image, corners[i]) for i in kept]
        each.append(average_precision(found, right) if found else 0.0)
    return float(np.mean(each))


def main():
    if sys.argv[1:2] == ["train"]:
        Path(sys.argv[2]).mkdir(parents=True, exist_ok=True)
        return train(Path(sys.argv[2]))
    if sys.argv[1:2] == ["val"]:
        return print(100 * mean_average_precision(sys.argv[2], VAL_SEED))
    from labelled import compare

    measure = lambda file: mean_average_precision(file, TEST_SEED)
    compare(__doc__.splitlines()[0], "yolo", __file__, measure)


if __name__ == "__main__":
    main()
