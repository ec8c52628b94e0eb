"""Policies over networks, promises and seeds, from one experiment file."""

from __future__ import annotations

import html
import json
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from . import _secateur
from ._command import program
from ._onnxruntime import offer
from ._progress import WorkProgress
from ._report import framed
from ._settings import to_count, to_threads
from .errors import Interrupted, SecateurError, SettingError

if TYPE_CHECKING:
    import pandas as pd

File = str | PathLike[str]


@dataclass
class _Asked:
    """A comparison as the extension takes it."""

    experiment: Path
    output: Path | None
    jobs: int | None
    data: Path | None
    shard: str | None
    merge: list[Path]
    test: bool
    threads: int | None
    command: str


class Comparison:
    """What an experiment says.

    In a notebook it shows as a page, in a terminal as tables.

    Attributes
    ----------
    output : pathlib.Path
        The folder of the tables (``table.md``, ``runs.csv``, ``compare.json``, ``compare.html``).
    groups : list of dict
        By network and promise: the ``lines`` of the contenders, means over seeds.
    overall : list of dict
        Paired differences of each contender over all of them.
    rows : list of dict
        Every result.
    failures : list of dict
        Runs that failed: ``run`` and ``error``.
    missing : list of str
        Runs that are not done.
    """

    def __init__(self, text: str, table: str, output: Path) -> None:
        self._figures: dict[str, Any] = json.loads(text)
        self._table = table
        self.output = output
        self.groups: list[dict[str, Any]] = self._figures["groups"]
        self.overall: list[dict[str, Any]] = self._figures["overall"]
        self.rows: list[dict[str, Any]] = self._figures["rows"]
        self.failures: list[dict[str, Any]] = self._figures["failures"]
        self.missing: list[str] = self._figures["missing"]

    def to_dict(self) -> dict[str, Any]:
        """Everything that is known, as in ``compare.json``."""
        return dict(self._figures)

    def to_pandas(self, of: Literal["lines", "rows"] = "lines") -> pd.DataFrame:
        """A table.

        Parameters
        ----------
        of : {"lines", "rows"}
            A row each network, promise and contender, of means over seeds; or a row each result.
        """
        import pandas as pd

        if of == "rows":
            return pd.DataFrame(self.rows)
        lines = [
            {"network": group["network"], "promise": group["promise"], "given": group["given"]}
            | {name: _mean(value) for name, value in line.items()}
            for group in self.groups
            for line in group["lines"]
        ]
        return pd.DataFrame(lines)

    def _repr_html_(self) -> str:
        page = self.output / "compare.html"
        return framed(page) if page.is_file() else f"<pre>{html.escape(repr(self))}</pre>"

    def __repr__(self) -> str:
        return self._table


def _mean(value: Any) -> Any:
    """Of a difference with its interval; other values as they are."""
    return value["mean"] if isinstance(value, dict) else value


@overload
def compare(
    experiment: File,
    *,
    output: File | None = None,
    jobs: int | None = None,
    data: File | None = None,
    shard: str | None = None,
    merge: Iterable[File] = (),
    dry_run: Literal[False] = False,
    test: bool = False,
    threads: int | None = None,
    progress: bool | None = None,
) -> Comparison: ...


@overload
def compare(
    experiment: File,
    *,
    output: File | None = None,
    jobs: int | None = None,
    data: File | None = None,
    shard: str | None = None,
    merge: Iterable[File] = (),
    dry_run: Literal[True],
    test: bool = False,
    threads: int | None = None,
    progress: bool | None = None,
) -> list[tuple[str, str | None]]: ...


def compare(
    experiment: File,
    *,
    output: File | None = None,
    jobs: int | None = None,
    data: File | None = None,
    shard: str | None = None,
    merge: Iterable[File] = (),
    dry_run: bool = False,
    test: bool = False,
    threads: int | None = None,
    progress: bool | None = None,
) -> Comparison | list[tuple[str, str | None]]:
    """Compare policies over networks, promises and seeds.

    Every run is a process of its own, and what was made before is not made again.

    Parameters
    ----------
    experiment : path
        What is compared: networks, promises, policies, seeds (docs/compare.md).
    output : path, optional
        Folder for everything that is written; by default ``runs/<experiment>``.
    jobs : int, optional
        Runs at once; by default as many as cores and memory allow.
    data : path, optional
        Data of all networks, instead of those that the experiment names.
    shard : str, optional
        ``"2/8"``: make one part of so many of the runs, for machines that share the work.
    merge : paths, optional
        Make no runs; tables and plots of the runs in these folders.
    dry_run : bool, default False
        Do nothing; return the titles of the runs that are not done, each with its command (None where
        that depends on another run's result).
    test : bool, default False
        Compare by test data, once the design is decided by validation data.
    threads : int, optional
        Threads of each run, instead of those that the experiment names.
    progress : bool, optional
        As in :func:`secateur.prune`.

    Returns
    -------
    Comparison
        Means and paired differences. Runs that failed are in its ``failures``, and warned of.

    Raises
    ------
    Interrupted
        After Ctrl-C; what runs have reached is saved, and the same call goes on.
    """
    folders = [Path(merge)] if isinstance(merge, (str, PathLike)) else [Path(one) for one in merge]
    if folders and (dry_run or shard is not None):
        name = "dry_run" if dry_run else "shard"
        raise SettingError(f"cannot use `{name}` with `merge`, which makes no runs")
    given = {"output": output, "jobs": jobs, "data": data, "shard": shard, "test": test or None}
    words = [f"{name}={value!r}" for name, value in given.items() if value is not None]
    asked = _Asked(
        experiment=Path(experiment),
        output=None if output is None else Path(output),
        jobs=to_count("jobs", jobs),
        data=None if data is None else Path(data),
        shard=shard,
        merge=folders,
        test=test,
        threads=to_threads(threads),
        command=f"secateur.compare({', '.join([repr(str(experiment)), *words])})",
    )
    if dry_run:
        return _secateur.compare_commands(asked)
    offer()
    told = WorkProgress(progress)
    try:
        text, table, place, failed = _secateur.compare(asked, program(), told)
    except KeyboardInterrupt as error:
        if isinstance(error, SecateurError):
            raise
        message = "stopped as asked; what runs have reached is saved"
        raise Interrupted(message, "the same call goes on") from None
    finally:
        told.close()
    if failed:
        warnings.warn(
            f"{failed} of the runs failed: each has a `log.txt` and an `error.txt` in its folder in "
            f"`{place}`; the same call tries them again",
            stacklevel=2,
        )
    return Comparison(text, table, place)
