"""Export, prune, narrow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from torch import nn

from .._prune import prune as prune_file
from .._report import Report
from ._check import check
from ._export import Inputs, export
from ._narrow import narrow

if TYPE_CHECKING:
    from .._data import Data

Module = TypeVar("Module", bound=nn.Module)


def prune(
    module: Module, example_inputs: Inputs, data: Data | None = None, **arguments: Any
) -> Module:
    """Make a trained module smaller.

    Parameters
    ----------
    module : torch.nn.Module
        The trained network; it is left as it is.
    example_inputs : tensor, tuple of tensors, or dict of tensors by argument
        What the network is called with; a batch of one will do.
    data : as in :func:`secateur.prune`
        Inputs like those it was trained on, with labels or without, such as a ``DataLoader``.
    **arguments
        Any of :func:`secateur.prune`: ``mode``, ``budget``, ``seed``, ``no_train`` and so on.

    Returns
    -------
    torch.nn.Module
        A module of the same class, on the same device and in the same mode, with narrower layers:
        it trains, saves and exports as before. Its ``secateur_report`` is the run's
        :class:`secateur.Report`.

    Raises
    ------
    ModelError
        For a module that cannot be exported, and parameters that no tensor of the pruned file can
        be matched with, by their names.

    Notes
    -----
    Parameters are matched by name, and tied ones stay tied. The result is called once with
    `example_inputs` and, where ONNX Runtime is installed, held against the pruned file.
    """
    report = prune_file(export(module, example_inputs), data, **arguments)
    small = narrow(module, report.outputs[0])
    check(small, example_inputs, report.outputs[0])
    _leave(small, report)
    return small


def _leave(module: nn.Module, report: Report) -> None:
    """The report on the module: plain, so that it is no part of its state."""
    object.__setattr__(module, "secateur_report", report)
