"""The command ``secateur``, as the wheel installs it."""

from __future__ import annotations

import signal
import sys
import sysconfig
from pathlib import Path

from . import _secateur
from ._onnxruntime import offer
from ._quantise import quantiser


def main() -> int:
    """Run the command with the words of this process; returns its exit code."""
    # As in any other program: where the command does not catch Ctrl-C itself, it ends.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    offer()
    return _secateur.run_command(sys.argv[1:], program(), quantiser())


def program() -> tuple[Path, list[str]]:
    """What starts the command again, for runs side by side: a file, and its first words."""
    name = "secateur.exe" if sys.platform == "win32" else "secateur"
    installed = Path(sysconfig.get_path("scripts")) / name
    if installed.is_file():
        return installed, []
    return Path(sys.executable), ["-m", "secateur"]
