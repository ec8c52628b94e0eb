"""Folders of runs."""

from __future__ import annotations

import tempfile
import weakref
from pathlib import Path
from shutil import rmtree
from typing import Any

from .errors import SettingError


class Folder:
    """The folder of a run; a temporary one goes with the last report that needs it."""

    def __init__(self, path: Path | None) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="secateur-")) if path is None else path
        self._end = None
        if path is None:
            self._end = weakref.finalize(self, rmtree, self.path, ignore_errors=True)

    def leave(self) -> None:
        """Keep it, whatever becomes of the report."""
        if self._end is not None:
            self._end.detach()

    def __deepcopy__(self, _: dict[int, Any]) -> Folder:
        return self

    def __reduce__(self) -> str | tuple[Any, ...]:
        if self._end is None:
            return Folder, (self.path,)
        raise SettingError(
            "cannot pickle the report of a run whose folder is temporary",
            "name a folder with `--run-dir` when you prune",
        )
