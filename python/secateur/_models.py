"""Models as paths, bytes or messages."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ModelError

if TYPE_CHECKING:
    import onnx

    Model = str | os.PathLike[str] | bytes | onnx.ModelProto


def to_input(model: Any) -> Path | bytes:
    """A model as the extension takes it: a path, or the bytes of its message."""
    if isinstance(model, (str, os.PathLike)):
        return Path(os.fspath(model))
    if isinstance(model, (bytes, bytearray)):
        return bytes(model)
    if hasattr(model, "SerializeToString"):  # onnx.ModelProto; onnx need not be installed
        message: bytes = model.SerializeToString()
        return message
    if hasattr(model, "model_proto"):  # torch.onnx.ONNXProgram
        return to_input(model.model_proto)
    kind = type(model).__name__
    raise ModelError(
        f"cannot read a model from `{kind}`: expected a path, bytes or an `onnx.ModelProto`"
    )
