"""A small network, trained once on the MNIST that is shipped with the sources."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

import secateur

MNIST = Path(__file__).parents[2] / "data" / "mnist"

# As short as a run can be that still does everything.
QUICK = {
    "recover_steps": 4,
    "agent_updates": 4,
    "ablation_images": 0,
    "seed": 7,
    "threads": 2,
    "progress": False,
}


@pytest.fixture(scope="session")
def trained() -> secateur.Trained:
    return secateur.train(
        MNIST, widths=[4, "M", 6, "M"], hidden=8, epochs=0.3, threads=2, progress=False
    )


@pytest.fixture(scope="session")
def net(trained: secateur.Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained.save(tmp_path_factory.mktemp("net") / "net.onnx")


def _read(name: str, offset: int) -> np.ndarray:
    return np.frombuffer(gzip.decompress((MNIST / name).read_bytes()), np.uint8, offset=offset)


def read_digits() -> tuple[np.ndarray, np.ndarray]:
    """Images and labels, as many as a quick run needs."""
    images = _read("t10k-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
    return images[:3000], _read("t10k-labels-idx1-ubyte.gz", 8)[:3000]


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    return read_digits()
