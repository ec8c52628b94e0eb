"""The command ``secateur``, as the wheel installs it."""

from __future__ import annotations

import signal
import sys
import sysconfig
from pathlib import Path

from . import _secateur
from ._onnxruntime import offer


def main() -> int:
    """Run the command with the words of this process; returns its exit code."""
    # As in any other program: where the command does not catch Ctrl-C itself, it ends.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    offer()
    return _secateur.run_command(sys.argv[1:], _program())


def _program() -> Path:
    """The script that starts this again, for runs side by side."""
    name = "secateur.exe" if sys.platform == "win32" else "secateur"
    installed = Path(sysconfig.get_path("scripts")) / name
    return installed if installed.is_file() else Path(sys.argv[0]).resolve()
