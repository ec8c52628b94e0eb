"""What a recovery without labels should be like: variants of it, in PyTorch, from one solved network.

CUT.onnx is what a run of `prune` on the given network wrote (its run folder beside it, for the
masks). Variants are learnt on N unlabelled images and held against the given network on others:
Kullback-Leibler divergence, agreement, and accuracy by the names of the folders. Besides the packages of
the README: `onnx2torch`.
"""

import argparse
import json
import random
import time
from pathlib import Path

import numpy as np
import onnx
import onnx2torch
import torch
from PIL import Image
from torch.nn import functional

# Name, and what differs from PLAIN. `feature` is a layer and what of it is matched.
PLAIN = dict(lr=0.02, shift=1, flip=False, mix=0.0, temperature=2.0, feature=None, weight=1.0)
VARIANTS = {
    "lr-0.05": dict(lr=0.05),
    "lr-0.02": {},
    "lr-0.005": dict(lr=0.005),
    "lr-0.005-moved": dict(lr=0.005, shift=2, flip=True),
    "mixed": dict(shift=2, flip=True, mix=1.0),
    "mixed-half": dict(shift=2, flip=True, mix=0.5),
    "row": dict(feature="out", weight=0.5),
    "map": dict(feature="in"),
}


class Data:
    """Images of files, normalised as a network's metadata say."""

    def __init__(self, model):
        values = {entry.key: entry.value for entry in model.metadata_props}
        normalisation = json.loads(values["secateur.normalisation"])
        self.mean, self.deviation = (
            torch.tensor(normalisation[key]).view(1, -1, 1, 1) for key in ("mean", "std")
        )

    def load(self, files):
        images = [np.asarray(Image.open(file).convert("RGB"), np.float32) for file in files]
        pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2) / 255
        return (pixels - self.mean) / self.deviation

    def moved(self, images, variant):
        n, _, height, width = images.shape
        if variant["flip"]:
            flipped = (torch.rand(n) < 0.5).view(-1, 1, 1, 1)
            images = torch.where(flipped, images.flip(3), images)
        by = variant["shift"]
        black = -self.mean / self.deviation
        wide = black.expand(n, -1, height + 2 * by, width + 2 * by).clone()
        wide[:, :, by : by + height, by : by + width] = images
        places = torch.randint(0, 2 * by + 1, (n, 2)).tolist()
        cuts = [wide[i, :, y : y + height, x : x + width] for i, (y, x) in enumerate(places)]
        images = torch.stack(cuts)
        if torch.rand(1).item() < variant["mix"]:
            share = torch.rand(n, 1, 1, 1)
            images = share * images + (1 - share) * images.roll(1, 0)
        return images


def outputs(net, images):
    net.eval()
    with torch.no_grad():
        return torch.cat([net(part) for part in images.split(250)])


def kept_channels(masks, given, own):
    """The channels of `given` that `own` has: those of the group that fits best."""
    fitting = []
    for mask in masks:
        kept = [i for i, on in enumerate(mask) if on == "1"]
        if len(mask) == given.shape[1] and len(kept) == own.shape[1]:
            fitting.append((float(((own - given[:, kept]) ** 2).mean()), kept))
    return min(fitting)[1]


def tapped(net, layer):
    """What a layer reads and gives, as of the last pass."""
    seen = {}
    if layer:
        hook = lambda _, read, gave: seen.update({"in": read[0], "out": gave})  # noqa: E731
        net.get_submodule(layer).register_forward_hook(hook)
    return seen


def recover(args, variant, given, net, images, data, masks):
    torch.manual_seed(args.seed)
    own, wanted = tapped(net, args.pooling), tapped(given, args.pooling)
    steps = args.passes * len(images) // args.batch
    update = torch.optim.SGD(net.parameters(), variant["lr"], momentum=0.9, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        update, variant["lr"], total_steps=steps + 1, cycle_momentum=False
    )
    kept, variance, order = None, None, []
    for _ in range(steps):
        if len(order) < args.batch:
            order = torch.randperm(len(images)).tolist()
        batch, order = order[: args.batch], order[args.batch :]
        x = data.moved(images[batch], variant)
        with torch.no_grad():
            target = given(x)
        net.train()
        t = variant["temperature"]
        rows = [(scores / t).log_softmax(1) for scores in (net(x), target)]
        loss = t * t * functional.kl_div(*rows, log_target=True, reduction="batchmean")
        if variant["feature"]:
            a, b = own[variant["feature"]], wanted[variant["feature"]]
            kept = kept or kept_channels(masks, b, a.detach())
            b = b[:, kept]
            variance = variance or float(b.var(0, unbiased=False).mean())
            loss = loss + variant["weight"] * ((a - b) ** 2).mean() / variance
        update.zero_grad()
        loss.backward()
        update.step()
        schedule.step()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("given", type=Path)
    parser.add_argument("cut", type=Path)
    parser.add_argument("--train", type=Path, required=True, help="CLASS/IMAGE to learn from")
    parser.add_argument("--held", type=Path, required=True, help="CLASS/IMAGE to judge by")
    parser.add_argument("--pooling", help="name of the last pooling's node")
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--passes", type=int, default=12)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--judged", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = onnx.load(args.given)
    data, given = Data(model), onnx2torch.convert(model).eval()
    history = Path(f"{args.cut}.run/history.jsonl").read_text().splitlines()
    masks = json.loads(history[-1])["masks"]
    picked = []
    for folder, count in ((args.train, args.images), (args.held, args.judged)):
        files = sorted(folder.glob("*/*"))
        picked.append(random.Random(0).sample(files, min(count, len(files))))
    images, held = (data.load(files) for files in picked)
    classes = sorted({file.parent.name for file in picked[1]})
    labels = torch.tensor([classes.index(file.parent.name) for file in picked[1]])
    wanted = outputs(given, held)

    def tell(name, net, seconds):
        scores = outputs(net, held)
        rows = scores.log_softmax(1), wanted.log_softmax(1)
        loss = functional.kl_div(*rows, log_target=True, reduction="batchmean")
        best = scores.argmax(1)
        agreement, accuracy = (float((best == of).float().mean()) for of in (wanted.argmax(1), labels))
        print(f"{name:16} loss {float(loss):.4f}  agreement {100 * agreement:.2f}"
              f"  accuracy {100 * accuracy:.2f}  {seconds:.0f} s", flush=True)  # fmt: skip

    tell("solved", onnx2torch.convert(onnx.load(args.cut)), 0)
    for name in args.variants:
        net, begin = onnx2torch.convert(onnx.load(args.cut)), time.time()
        recover(args, PLAIN | VARIANTS[name], given, net, images, data, masks)
        tell(name, net, time.time() - begin)


if __name__ == "__main__":
    main()
