"""Inputs of a network, as arrays that both programs read: nothing is prepared in two ways.

The first `count` inputs, in an order by seed, are for calibration, `held` others are to measure on.
They come from folders of images (`images`, `held_images`), or from an `.npz` file of arrays by input
name (`arrays`), whose last samples are those to measure on. An IDX file counts as a folder of images.
"""

import gzip
import json
from dataclasses import dataclass

import numpy as np
import onnx
from PIL import Image

ENDINGS = {".jpg", ".jpeg", ".png", ".webp"}
BATCH = 16


@dataclass
class Feeds:
    calibration: list
    """Batches of inputs by name, as onnxsim takes them."""
    first: dict
    """A single held-out sample."""


def normalisation(net, model):
    """Mean and deviation by channel: those of the list, else those in the file's metadata."""
    if "normalise" in net:
        return [np.array(part, np.float32) for part in net["normalise"]]
    for prop in model.metadata_props:
        if prop.key == "secateur.normalisation":
            told = json.loads(prop.value)
            return np.array(told["mean"], np.float32), np.array(told["std"], np.float32)
    return np.float32(0), np.float32(1)


def read_idx(file, count, net, model, rng):
    """[count, 1, h, w] of an IDX file of bytes: magic, count, height, width, pixels."""
    content = gzip.open(file).read()
    n, height, width = np.frombuffer(content, ">i4", 3, 4)
    pixels = np.frombuffer(content, np.uint8, offset=16).reshape(n, 1, height, width)
    mean, deviation = normalisation(net, model)
    chosen = pixels[rng.permutation(n)[:count]].astype(np.float32) / 255
    return ((chosen - mean) / deviation).astype(np.float32)


def read_images(folder, count, net, model, rng):
    """[count, c, h, w], drawn from all images below a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS)
    if len(paths) < count:
        raise ValueError(f"{folder} holds {len(paths)} images, {count} are wanted")
    mean, deviation = normalisation(net, model)
    colour = net.get("colour", "rgb")
    images = []
    for index in rng.permutation(len(paths))[:count]:
        image = Image.open(paths[index]).convert("L" if colour == "grey" else "RGB")
        pixels = np.asarray(image, np.float32) / 255
        pixels = pixels[:, :, None] if colour == "grey" else pixels
        pixels = pixels[:, :, ::-1] if colour == "bgr" else pixels
        images.append(((pixels - mean) / deviation).transpose(2, 0, 1))
    return np.stack(images).astype(np.float32)


def prepare(net, root, folder):
    """Writes DATA/train.npz and DATA/test.npz."""
    model = onnx.load(net["file"], load_external_data=False)
    count, held = net.get("count", 512), net.get("held", 1000)
    rng = np.random.default_rng(net.get("seed", 0))
    if "arrays" in net:
        arrays = dict(np.load(root / net["arrays"]))
        n = len(next(iter(arrays.values())))
        order = rng.permutation(n - held)[:count]
        train = {name: array[order] for name, array in arrays.items()}
        test = {name: array[-held:] for name, array in arrays.items()}
    else:
        name = model.graph.input[0].name
        parts = []
        for key, size in (("images", count), ("held_images", held)):
            source = root / net[key]
            read = read_images if source.is_dir() else read_idx
            parts.append({name: read(source, size, net, model, rng)})
        train, test = parts
    data = folder / "data"
    data.mkdir(exist_ok=True)
    np.savez(data / "train.npz", **train)
    np.savez(data / "test.npz", **test)
    batch, axes = net.get("batch", BATCH), net.get("sample_axis", {})
    batches = [part(train, slice(i, i + batch), axes) for i in range(0, count, batch)]
    return Feeds(batches, part(test, slice(0, 1), axes))


def part(arrays, rows, axes):
    """Some of the samples as the network takes them: their axis is the first, or as told."""
    return {
        name: np.ascontiguousarray(np.moveaxis(array[rows], 0, axes.get(name, 0)))
        for name, array in arrays.items()
    }
