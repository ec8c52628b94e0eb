"""What can go wrong.

Every exception says what was wrong, where, and what was expected; ``hint`` says what to do
about it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._train import Trained

__all__ = [
    "DataError",
    "Interrupted",
    "MetricError",
    "ModelError",
    "RunError",
    "SecateurError",
    "SettingError",
    "TrainerError",
    "VerifyError",
]

# Options of the command that take no value, where the argument is true or false.
_SWITCHES = {
    "allow-mixing",
    "calibrate",
    "flip",
    "force",
    "fresh",
    "metric-lower-is-better",
    "no-train",
    "resume",
}
# Other names here than there.
_OTHERWISE = {"-o": "output", "secateur quantise": "secateur.quantise", "secateur eval": "secateur.evaluate"}


class SecateurError(Exception):
    """Anything that this package cannot do.

    Attributes
    ----------
    message : str
        What was wrong, where, and what was expected.
    hint : str or None
        What to do about it.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        self.message = message
        self.hint = None if hint is None else _in_python(hint)
        super().__init__(message if hint is None else f"{message}\n\nhint: {self.hint}")


class ModelError(SecateurError):
    """A model that cannot be read, run or trained."""


class DataError(SecateurError, ValueError):
    """Data that cannot be read, or do not fit the model."""


class SettingError(SecateurError, ValueError):
    """A setting that does not exist, or has a value that no run can use."""


class MetricError(SecateurError):
    """The metric of the caller's own failed; its exception is the cause."""


class TrainerError(SecateurError):
    """The training of the caller's own failed; its exception is the cause."""


class VerifyError(SecateurError):
    """A pruned file that does not hold what it promises, or cannot be checked."""


class RunError(SecateurError):
    """A run folder that cannot be used, or a run that cannot go on."""


class Interrupted(SecateurError, KeyboardInterrupt):
    """The run was stopped by Ctrl-C; what it has reached is kept.

    Attributes
    ----------
    run_dir : pathlib.Path or None
        The folder that a pruning run goes on from.
    trained : Trained or None
        What a training has reached.
    """

    run_dir: Path | None = None
    trained: Trained | None = None


def _in_python(hint: str) -> str:
    """The options and commands in a hint as arguments and functions."""
    return re.sub(r"`([^`]+)`", lambda found: f"`{_code_in_python(found[1])}`", hint)


def _code_in_python(code: str) -> str:
    if code in _OTHERWISE:
        return _OTHERWISE[code]
    command, dashes, options = code.partition("--")
    command = command.strip()
    called = command.split(" ")
    is_command = called[0] in ("secateur", "prune", "train") and len(called) <= 2
    if command and not is_command:
        return code
    name = ".".join(called)
    if not dashes:
        return name if called[0] == "secateur" else code
    arguments = ", ".join(_argument(option) for option in options.split(" --"))
    return f"{name}({arguments})" if command else arguments


def _argument(option: str) -> str:
    name, _, value = option.strip().partition(" ")
    argument = name.replace("-", "_")
    if value:
        return f'{argument}="{value}"'
    return f"{argument}=True" if name in _SWITCHES else argument
