"""Some of the training images of a data set, with all of its test images."""

import gzip
import random
from pathlib import Path

import numpy as np

# The data are picked once, whatever the seeds of runs.
SEED = 0


def some(data, out, count):
    """A folder with `count` training images of `data`: links to files of class folders, or arrays
    of IDX files."""
    folder = out / "data" / f"{data.name}-{count}"
    if not folder.exists():
        making = folder.with_name(folder.name + ".part")
        making.mkdir(parents=True, exist_ok=True)
        if (data / "train").is_dir():
            link(data.resolve(), making, int(count))
        else:
            arrays(data, making, int(count))
        making.rename(folder)
    return folder


def link(data, folder, count):
    files = sorted(path for path in (data / "train").glob("*/*") if path.is_file())
    for path in random.Random(SEED).sample(files, count):
        place = folder / path.relative_to(data)
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.is_symlink():
            place.symlink_to(path)
    if not (folder / "test").is_symlink():
        (folder / "test").symlink_to(data / "test")


def arrays(data, folder, count):
    for part, prefix in (("train", "train"), ("test", "t10k")):
        x, y = idx(data, f"{prefix}-images-idx3-ubyte"), idx(data, f"{prefix}-labels-idx1-ubyte")
        if part == "train":
            picked = sorted(random.Random(SEED).sample(range(len(x)), count))
            x, y = x[picked], y[picked]
        np.savez(folder / f"{part}.npz", x=x, y=y)


def idx(data, name):
    """The values of an IDX file of bytes, packed or not."""
    packed = Path(data) / f"{name}.gz"
    raw = gzip.decompress(packed.read_bytes()) if packed.exists() else (data / name).read_bytes()
    extents = np.frombuffer(raw, ">u4", count=raw[3], offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(extents)
