"""Settings as the words that a command line has them in."""

from __future__ import annotations

import operator
import os
from typing import Any

from . import _secateur
from .errors import SettingError

Words = list[tuple[str, list[str]]]

_JOBS = ("prune", "train", "data", "look", "demo")


def to_words(settings: dict[str, Any]) -> Words:
    """Names with the words of their values; what is None stays as it is unless told."""
    return [(name, _words(name, value)) for name, value in settings.items() if value is not None]


def _words(name: str, value: Any) -> list[str]:
    if isinstance(value, (list, tuple)):
        return [_word(name, part) for part in value]
    return [_word(name, value)]


def _word(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, os.PathLike)):
        return os.fspath(value)
    if hasattr(value, "item"):  # a number of NumPy or of PyTorch
        value = value.item()
    if isinstance(value, (bool, int, float)):
        return _word(name, value) if isinstance(value, bool) else repr(value)
    raise SettingError(f"`{name}` is {value!r}, expected a number, a text, or a list of them")


def to_threads(threads: Any) -> int | None:
    """A number of threads, at least one; None leaves it open."""
    return to_count("threads", threads)


def to_count(name: str, value: Any) -> int | None:
    """A whole number, at least one; None leaves it open."""
    if value is None:
        return None
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1:
        raise SettingError(f"`{name}` is {value!r}, expected a whole number from 1")
    return number


class SettingsTable:
    """All settings of a job, as a table.

    Iterating gives a dict each, with ``name``, ``key`` (its place in a config file), ``default``,
    ``may_be``, ``text`` and ``reason``.
    """

    def __init__(self, job: str) -> None:
        fields = ("name", "key", "default", "may_be", "text", "reason")
        self._rows = [dict(zip(fields, row)) for row in _secateur.declared(job)]

    def __iter__(self) -> Any:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, name: str) -> dict[str, str]:
        for row in self._rows:
            if name in (row["name"], row["key"]):
                return row
        raise KeyError(name)

    def __repr__(self) -> str:
        rows = [(row["name"], row["default"], row["text"]) for row in self._rows]
        widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
        return "\n".join(
            f"{name:<{widths[0]}}  {default:<{widths[1]}}  {text}" for name, default, text in rows
        )


def settings(job: str = "prune") -> SettingsTable:
    """Settings that can be given by name, with their defaults.

    Parameters
    ----------
    job : {"prune", "train", "data", "look", "demo"}
        Settings of :func:`secateur.prune`, of :func:`secateur.train`, of data alone, as
        :func:`secateur.evaluate` takes them, or of :func:`secateur.inspect`,
        :func:`secateur.verify` and :func:`secateur.bench`, or of :func:`secateur.demo`.

    Returns
    -------
    SettingsTable
        A row each.
    """
    if job not in _JOBS:
        raise SettingError(f"there is no job `{job}`: expected one of {', '.join(_JOBS)}")
    return SettingsTable(job)
