"""The ONNX Runtime that is installed beside this package."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path


def offer() -> None:
    """Name its library in ``ORT_DYLIB_PATH``, unless something is named there.

    Written files are checked and timed in it. The package itself is not imported.
    """
    if "ORT_DYLIB_PATH" in os.environ:
        return
    found = importlib.util.find_spec("onnxruntime")
    for folder in (found and found.submodule_search_locations) or []:
        for pattern in ("libonnxruntime.so*", "libonnxruntime*.dylib", "onnxruntime.dll"):
            for library in sorted((Path(folder) / "capi").glob(pattern)):
                os.environ["ORT_DYLIB_PATH"] = str(library)
                return
