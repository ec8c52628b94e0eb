"""Data as a path or as named arrays."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import DataError

Array = npt.NDArray[Any]
Arrays = list[tuple[str, Array]]
Data = str | os.PathLike[str] | Array | tuple[Any, Any] | Mapping[str, Any] | Iterable[Any]

# The names under which images and labels are found, as in an npz file.
_IMAGES, _LABELS = "x", "y"


def to_input(data: Any) -> Path | Arrays:
    """Data as the extension takes them: a path, or named arrays in one piece."""
    if isinstance(data, (str, os.PathLike)):
        return Path(os.fspath(data))
    if isinstance(data, Mapping):
        return [(str(name), _array(value, str(name))) for name, value in data.items()]
    if _is_array(data):
        return [(_IMAGES, _array(data, _IMAGES))]
    if isinstance(data, tuple) and len(data) == 2 and all(_is_array(part) for part in data):
        return _named(data)
    if isinstance(data, Iterable):
        return _gathered(data)
    raise DataError(
        f"cannot read data from `{type(data).__name__}`: expected a folder, arrays, a dict of "
        "arrays, or batches of them"
    )


def are_batches(data: Any) -> bool:
    """True if the data come in batches, as a loader gives them to a network."""
    is_whole = isinstance(data, (str, os.PathLike, Mapping)) or _is_array(data)
    is_pair = isinstance(data, tuple) and len(data) == 2 and all(_is_array(part) for part in data)
    return not is_whole and not is_pair and isinstance(data, Iterable)


def are_floats(data: Path | Arrays) -> bool:
    """True for arrays of floats."""
    return isinstance(data, list) and any(array.dtype == np.float32 for _, array in data)


def _named(pair: tuple[Any, Any]) -> Arrays:
    return [(_IMAGES, _array(pair[0], _IMAGES)), (_LABELS, _array(pair[1], _LABELS))]


def _is_array(value: Any) -> bool:
    return hasattr(value, "__array__") or hasattr(value, "__dlpack__")


def _array(value: Any, name: str) -> Array:
    """An array in one piece, of a type that can be lent; others are converted."""
    array = np.asarray(_on_host(value))
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "f":
        wanted: npt.DTypeLike = np.float32
    elif kind == "b" or (kind == "u" and size == 1):
        wanted = array.dtype
    elif kind in "iu":
        wanted = np.int64
    else:
        raise DataError(
            f"cannot use the array `{name}`: expected numbers or truth values, got {array.dtype}"
        )
    # `ascontiguousarray` would make one axis of none.
    return np.require(array, dtype=wanted, requirements=["C", "A"])


def _on_host(value: Any) -> Any:
    """A tensor of PyTorch without its gradient, where NumPy can read it."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if "bfloat16" in str(value.dtype):
            value = value.float()
    return value


def _gathered(batches: Iterable[Any]) -> Arrays:
    """Batches put together: pairs of inputs and labels, inputs alone, or dicts of inputs."""
    parts: list[dict[str, Array]] = []
    for batch in batches:
        if isinstance(batch, Mapping):
            parts.append({str(name): _array(value, str(name)) for name, value in batch.items()})
        elif _is_array(batch):
            parts.append({_IMAGES: _array(batch, _IMAGES)})
        elif isinstance(batch, (tuple, list)) and len(batch) == 2:
            parts.append(dict(_named((batch[0], batch[1]))))
        elif isinstance(batch, (tuple, list)) and len(batch) == 1:
            parts.append({_IMAGES: _array(batch[0], _IMAGES)})
        else:
            raise DataError(
                f"cannot use batch {len(parts)}: expected a pair of inputs and labels, inputs, or "
                f"a dict of arrays by input, got `{type(batch).__name__}`"
            )
    if not parts:
        raise DataError("cannot use the data: they hold no batch")
    names = list(parts[0])
    for number, part in enumerate(parts):
        if list(part) != names:
            raise DataError(
                f"cannot use batch {number}: expected arrays {names} as in the first, got "
                f"{list(part)}"
            )
    return [(name, _joined(name, [part[name] for part in parts])) for name in names]


def _joined(name: str, arrays: list[Array]) -> Array:
    if len(arrays) == 1:
        return arrays[0]
    shapes = {array.shape[1:] for array in arrays}
    if len(shapes) > 1:
        raise DataError(
            f"cannot put the batches of `{name}` together: samples are of {sorted(shapes)}"
        )
    return np.concatenate(arrays)
