"""Halves the text networks of the Python package rapidocr-onnxruntime, without labels.

    pip download --no-deps rapidocr-onnxruntime && unzip -d MODELS rapidocr_onnxruntime-*.whl
    python text_images.py TRAIN --seed 0
    python text_images.py HELD --pages 120 --lines 300 --seed 1000
    python ocr.py --models MODELS/rapidocr_onnxruntime/models --train TRAIN --held HELD --out OUT

Given and written file are compared in ONNX Runtime on images that no run has seen: other text of
another seed. Nothing here knows what the images say: the given file is what is right.
"""

from itertools import groupby
from pathlib import Path

import numpy as np
from PIL import Image

import common

# As the package has it: masks begin at 0.3 (DBNet's `thresh`), class 0 of texts is blank.
MASK_FROM = 0.3
HALF = ("0.5,0.5,0.5/0.5,0.5,0.5", "half")
IMAGENET = ("0.485,0.456,0.406/0.229,0.224,0.225",) * 2


def masks(given, pruned):
    """Intersection over union of the masks, over all pixels and by page."""
    a, b = given > MASK_FROM, pruned > MASK_FROM
    axes = tuple(range(1, a.ndim))
    both, either = (a & b).sum(axes), (a | b).sum(axes)
    by_page = np.where(either == 0, 1, both / np.maximum(either, 1))
    return {"IoU": both.sum() / either.sum(), "IoU by page": by_page.mean()}


def directions(given, pruned):
    same = given.argmax(-1) == pruned.argmax(-1)
    turned = given.argmax(-1) == 1
    return {"agreement": same.mean(), "turned, of the given": turned.mean()}


def distance(a, b):
    """Levenshtein's: least number of inserted, deleted and replaced characters."""
    last = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        this = [i]
        for j, y in enumerate(b, 1):
            this.append(min(last[j] + 1, this[-1] + 1, last[j - 1] + (x != y)))
        last = this
    return last[-1]


def texts(given, pruned):
    """Equal texts, and the share of characters that stay."""
    read = [
        [[c for c, _ in groupby(line) if c] for line in scores.argmax(-1).tolist()]
        for scores in (given, pruned)
    ]
    pairs = list(zip(*read))
    lost = sum(distance(a, b) for a, b in pairs)
    return {
        "texts": np.mean([a == b for a, b in pairs]),
        "characters": 1 - lost / sum(len(a) for a, _ in pairs),
    }


# name: file, folder of images, height and width, normalisation (here, for `prune`), comparison
NETS = {
    "det": ("ch_PP-OCRv4_det_infer.onnx", "pages", (320, 320), IMAGENET, masks),
    "cls": ("ch_ppocr_mobile_v2.0_cls_infer.onnx", "turned", (48, 192), HALF, directions),
    "rec": ("ch_PP-OCRv4_rec_infer.onnx", "lines", (48, 320), HALF, texts),
}


def images(folder, normalisation):
    """One feed an image, blue first as the package reads images."""
    mean, deviation = (
        np.array([float(x) for x in part.split(",")], np.float32)
        for part in normalisation.split("/")
    )
    for path in sorted(folder.iterdir()):
        pixels = np.asarray(Image.open(path).convert("RGB"), np.float32)[:, :, ::-1] / 255
        yield {"x": ((pixels - mean) / deviation).transpose(2, 0, 1)[None]}


def main():
    parser = common.options(__doc__.splitlines()[0])
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--train", type=Path, required=True)
    parser.add_argument("--held", type=Path, required=True)
    parser.add_argument("--nets", nargs="+", choices=NETS, default=list(NETS))
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.nets:
        file, folder, (height, width), (normalisation, normalise), compare = NETS[name]
        feeds = list(images(args.held / folder, normalisation))
        right = np.concatenate([out[0] for out in common.outputs(args.models / file, feeds)])
        for way in args.ways:
            out = args.out / f"{name}-{way}.onnx"
            more = ["--data", args.train / folder, "--budget", args.budget]
            more += ["--input-shape", f"x=?x3x{height}x{width}"]
            more += ["--normalise", normalise, "--colour", "bgr"]
            seconds = common.prune(args, args.models / file, out, way, *more)
            here = np.concatenate([out[0] for out in common.outputs(out, feeds)])
            times = common.latency([args.models / file, out], feeds[0])
            common.row(name, way, compare(right, here), times, seconds)


if __name__ == "__main__":
    main()
