"""Data and models in all their forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import secateur

Digits = tuple[np.ndarray, np.ndarray]


def test_arrays_are_as_the_files_of_the_same_arrays(
    net: Path, digits: Digits, tmp_path: Path
) -> None:
    images, labels = digits
    arrays = {"x_train": images[:2000], "y_train": labels[:2000]}
    arrays |= {"x_test": images[2000:], "y_test": labels[2000:]}
    np.savez(tmp_path / "digits.npz", **arrays)
    of_file = secateur.evaluate(net, tmp_path / "digits.npz")
    of_arrays = secateur.evaluate(net, arrays)
    assert of_file.to_dict() == of_arrays.to_dict()
    assert of_arrays["images"] == 1000 and of_arrays.quality > 0.5


def test_pairs_and_batches_are_the_same_samples(net: Path, digits: Digits) -> None:
    images, labels = digits
    pair = secateur.evaluate(net, digits, split="train")
    batches = [(images[i : i + 100], labels[i : i + 100]) for i in range(0, len(labels), 100)]
    assert secateur.evaluate(net, batches, split="train").to_dict() == pair.to_dict()
    assert secateur.evaluate(net, iter(batches), split="train").to_dict() == pair.to_dict()
    # Channels first, other types of labels, not in one piece.
    other = (images[:, None].copy(), labels.astype(np.int16)[:, None])
    assert secateur.evaluate(net, other, split="train").to_dict() == pair.to_dict()
    reversed_twice = (images[::-1].copy()[::-1], labels)
    assert secateur.evaluate(net, reversed_twice, split="train").to_dict() == pair.to_dict()


def test_floats_are_bytes_of_255(net: Path, digits: Digits) -> None:
    images, labels = digits
    of_bytes = secateur.evaluate(net, digits, split="train")
    floats = images.astype(np.float64) / 255
    assert secateur.evaluate(net, (floats, labels), split="train").quality == of_bytes.quality
    # The model says how it is normalised, so batches need not be told.
    batches = [(floats[:1500], labels[:1500]), (floats[1500:], labels[1500:])]
    assert secateur.evaluate(net, batches, split="train").quality == of_bytes.quality


def test_batches_of_floats_are_what_the_network_takes(net: Path, digits: Digits) -> None:
    model = onnx.load(net)
    (normalisation,) = (p.value for p in model.metadata_props if "normalisation" in p.key)
    del model.metadata_props[:]
    images, labels = digits
    known = secateur.evaluate(net, digits, split="train").quality
    values = eval(normalisation)  # JSON of two lists
    mean, deviation = values["mean"][0], values["std"][0]
    floats = ((images / 255 - mean) / deviation).astype(np.float32)
    assert secateur.evaluate(model, [(floats, labels)], split="train").quality == known


def test_a_dict_by_input_and_an_array_alone(net: Path, digits: Digits) -> None:
    images, _ = digits
    name = onnx.load(net).graph.input[0].name
    floats = (images[:, None] / 255).astype(np.float32)
    by_name = secateur.evaluate(net, {name: floats}, original=net)
    assert by_name.quality == 1.0
    assert secateur.evaluate(net, floats, original=net).quality == 1.0


def test_models_are_paths_bytes_and_messages(net: Path) -> None:
    texts = [
        secateur.inspect(model).to_dict()["groups"]
        for model in (net, str(net), net.read_bytes(), onnx.load(net))
    ]
    assert all(text == texts[0] for text in texts)
    with pytest.raises(secateur.ModelError, match="from `int`"):
        secateur.inspect(3)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (3, "from `int`"),
        ([], "no batch"),
        ([(np.zeros((2, 28, 28)), np.zeros(3))], "cannot pair"),
        ({"x": np.array(["a"])}, "numbers or truth values"),
        ([np.zeros((2, 3)), np.zeros((2, 4))], "samples are of"),
        ([np.zeros((2, 3)), {"z": np.zeros((2, 3))}], "as in the first"),
        ((np.full((20, 28, 28), np.nan, np.float32), np.zeros(20)), "finite"),
        (np.zeros((30, 5), np.float32), "expected"),
    ],
)
def test_what_cannot_be_used_is_told(net: Path, data: object, message: str) -> None:
    with pytest.raises(secateur.DataError, match=message):
        secateur.evaluate(net, data, original=net)  # type: ignore[arg-type]


def test_torch_loaders(net: Path, digits: Digits) -> None:
    torch = pytest.importorskip("torch")
    images, labels = (torch.from_numpy(part.copy()) for part in digits)
    data = torch.utils.data.TensorDataset(images[:, None].float() / 255, labels.long())
    loader = torch.utils.data.DataLoader(data, batch_size=256)
    expected = secateur.evaluate(net, digits, split="train").quality
    assert secateur.evaluate(net, loader, split="train").quality == expected
