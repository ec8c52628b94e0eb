"""Image sets as other programs write them: `datasets`, `pyarrow` and `webdataset`."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset
from conftest import QUICK
from PIL import Image
from test_command import run

import secateur

NAMES = [str(digit) for digit in range(10)]
PARTS = ("train", "test")
# Bytes of a PNG, and the digit.
Sample = tuple[bytes, int]


def png(image: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "png")
    return file.getvalue()


@pytest.fixture(scope="module")
def samples(digits: tuple[np.ndarray, np.ndarray]) -> dict[str, list[Sample]]:
    """In the order of the digits, as folders have them."""
    images, labels = digits
    parts = {"train": range(800), "test": range(800, 1200)}
    return {
        part: [(png(images[i]), int(labels[i])) for i in sorted(places, key=lambda i: labels[i])]
        for part, places in parts.items()
    }


@pytest.fixture(scope="module")
def folder(samples: dict[str, list[Sample]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same images in class folders."""
    folder = tmp_path_factory.mktemp("folder")
    for part, images in samples.items():
        for place, (image, digit) in enumerate(images):
            file = folder / part / str(digit) / f"{place:04}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(image)
    return folder


Samples = dict[str, list[Sample]]


def by_datasets(samples: Samples, folder: Path, out: Path) -> None:
    """As `push_to_hub` lays them out."""
    features = {"image": datasets.Image(), "label": datasets.ClassLabel(names=NAMES)}
    for part, images in samples.items():
        columns: dict[str, list[Any]] = {
            "image": [{"bytes": image, "path": None} for image, _ in images],
            "label": [digit for _, digit in images],
        }
        whole = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
        for shard in range(2):
            file = out / "data" / f"{part}-{shard:05}-of-00002.parquet"
            file.parent.mkdir(parents=True, exist_ok=True)
            whole.shard(2, shard, contiguous=True).to_parquet(file)


def by_pyarrow(**options: Any) -> Callable[[Samples, Path, Path], None]:
    """Plain columns, as `default/train/0000.parquet`."""

    def write(samples: Samples, folder: Path, out: Path) -> None:
        for part, images in samples.items():
            table = pa.table(
                {
                    "digit_of": pa.array([f"{digit}" for _, digit in images]),
                    "img": pa.array([image for image, _ in images], pa.binary()),
                    "label": pa.array([digit for _, digit in images], pa.int16()),
                }
            )
            file = out / "default" / part / "0000.parquet"
            file.parent.mkdir(parents=True)
            pq.write_table(table, file, **options)

    return write


def by_paths(samples: Samples, folder: Path, out: Path) -> None:
    """Paths of files beside, and classes by name."""
    for part in samples:
        files = sorted((folder / part).glob("*/*.png"))
        for file in files:
            copy = out / "files" / part / file.name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(file.read_bytes())
        struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        images = [{"bytes": None, "path": f"files/{part}/{file.name}"} for file in files]
        labels = pa.array([file.parent.name for file in files]).dictionary_encode()
        table = pa.table({"image": pa.array(images, struct), "label": labels})
        pq.write_table(table, out / f"{part}.parquet")


def by_webdataset(form: str) -> Callable[[Samples, Path, Path], None]:
    def write(samples: Samples, folder: Path, out: Path) -> None:
        for part, images in samples.items():
            with webdataset.ShardWriter(str(out / f"{part}-%06d.tar"), maxcount=300) as writer:
                for place, (image, digit) in enumerate(images):
                    label = digit if form == "cls" else {"label": digit, "place": place}
                    writer.write({"__key__": f"{part}/{place:06}", "png": image, form: label})

    return write


FORMS = {
    "datasets": (by_datasets, "Parquet files"),
    "snappy": (by_pyarrow(compression="snappy"), "Parquet files"),
    "zstd": (by_pyarrow(compression="zstd", row_group_size=70), "Parquet files"),
    "gzip": (by_pyarrow(compression="gzip", data_page_version="2.0"), "Parquet files"),
    "none": (
        by_pyarrow(compression="none", use_dictionary=False, data_page_size=2000, version="1.0"),
        "Parquet files",
    ),
    "paths": (by_paths, "Parquet files"),
    "webdataset": (by_webdataset("cls"), "tar shards"),
    "webdataset-json": (by_webdataset("json"), "tar shards"),
}


@pytest.fixture(scope="module")
def expected(net: Path, folder: Path) -> secateur.Evaluation:
    return secateur.evaluate(net, folder)


@pytest.mark.parametrize("form", FORMS)
def test_shards_are_as_the_same_images_in_folders(
    form: str,
    samples: Samples,
    net: Path,
    folder: Path,
    expected: secateur.Evaluation,
    tmp_path: Path,
) -> None:
    write, kind = FORMS[form]
    write(samples, folder, tmp_path)
    assert expected["images"] == 400 and expected.quality > 0.5
    assert secateur.evaluate(net, tmp_path).to_dict() == expected.to_dict()
    # Where decoded images find no room.
    apart = secateur.evaluate(net, tmp_path, cache_mib=0)
    assert apart.to_dict() == expected.to_dict()
    shown = run("inspect", "--data", tmp_path)
    assert f"{tmp_path}: {kind}, images 28x28x1" in shown.stdout


@pytest.mark.parametrize("form", ["datasets", "webdataset"])
def test_runs_on_shards_are_runs_on_folders(
    form: str, samples: Samples, net: Path, folder: Path, tmp_path: Path
) -> None:
    FORMS[form][0](samples, folder, tmp_path)

    def pruned(data: Path) -> secateur.Output:
        report = secateur.prune(net, data, mode="ceca", budget={"params": 0.5}, **QUICK)
        return report.outputs[0]

    of_shards, of_folders = pruned(tmp_path), pruned(folder)
    assert of_shards.figures["test_quality"] == of_folders.figures["test_quality"]
    assert of_shards.to_bytes() == of_folders.to_bytes()


def test_a_single_file_and_a_damaged_image(samples: Samples, net: Path, tmp_path: Path) -> None:
    images = [image for image, _ in samples["train"]]
    images[3] = images[3][: math.ceil(len(images[3]) / 2)]
    table = pa.table({"image": images, "label": [digit for _, digit in samples["train"]]})
    pq.write_table(table, tmp_path / "all.parquet")
    seen = secateur.evaluate(net, tmp_path / "all.parquet", split="train")
    assert seen["skipped_images"] == 1
    with pytest.raises(secateur.DataError, match=r"more than 0 images.*all\.parquet/row 3"):
        secateur.evaluate(net, tmp_path / "all.parquet", split="train", max_skipped=0)


def test_a_truncated_shard_is_told(
    samples: Samples, net: Path, folder: Path, tmp_path: Path
) -> None:
    by_datasets(samples, folder, tmp_path)
    (shard, *_) = sorted(tmp_path.glob("data/train*"))
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(secateur.DataError, match="train-00000-of-00002.parquet.*Parquet"):
        secateur.evaluate(net, tmp_path)
