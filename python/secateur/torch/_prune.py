"""Export, prune, narrow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from torch import nn

from .._prune import prune as prune_file
from .._report import Report
from ._check import check
from ._export import Inputs, export
from ._held import with_held
from ._live import Own, prune_live
from ._narrow import Narrowing
from ._stored import with_stored_weights
from ._trainer import Evaluate, Train

if TYPE_CHECKING:
    from .._data import Data

Module = TypeVar("Module", bound=nn.Module)


def prune(
    module: Module,
    example_inputs: Inputs,
    data: Data | None = None,
    *,
    train: Train | None = None,
    evaluate: Evaluate | None = None,
    train_samples: int | None = None,
    samples: int = 4096,
    **arguments: Any,
) -> Module:
    """Make a trained module smaller.

    Parameters
    ----------
    module : torch.nn.Module
        The trained network; it is left as it is.
    example_inputs : tensor, tuple of tensors, or dict of tensors by argument
        What the network is called with; a batch of one will do.
    data : as in :func:`secateur.prune`
        Inputs like those it was trained on, with labels or without, such as a ``DataLoader``. With
        `train` some thousand will do: networks are looked at with them, but not trained on them.
    train : callable, optional
        ``train(module, steps)`` trains a module where it is, on the device of the one that was
        given: recoveries are its business. :class:`Training` makes one of a loader and a loss, and
        serves as `data` too.
    evaluate : callable, optional
        ``evaluate(module)`` gives a quality from 0 to 1, the larger the better. AEC holds its floor
        on it, with `max_drop` in points (hundredths). :class:`Accuracy` is one.
    train_samples : int, optional
        Samples of an epoch of `train`, where it does not tell.
    samples : int, default 4096
        With `train`: as many samples of a loader in `data` are read at most.
    **arguments
        Any of :func:`secateur.prune`: ``mode``, ``budget``, ``seed``, ``no_train``, ``run_dir``,
        ``resume`` and so on. ``batch_size`` is that of a step of `train`, over all processes.

    Returns
    -------
    torch.nn.Module
        A module of the same class, on the same device and in the same mode, with narrower layers:
        it trains, saves and exports as before. Its ``secateur_report`` is the run's
        :class:`secateur.Report`.

    Raises
    ------
    ModelError
        For a module that cannot be exported, whose outputs are not those of its own file, or whose
        code goes along with fewer kernels of no layer.
    TrainerError, MetricError
        Where `train` or `evaluate` fails; the run is kept as after Ctrl-C.

    Notes
    -----
    Parameters are matched by name, and tied ones stay tied. Before the run kernels are taken out on
    trial: layers whose narrower forms the module's code does not go along with are left alone, and
    a warning names them. Layers that compute their weights from all channels (``weight_norm``,
    standardised weights) keep the weights themselves in the result; a warning names these too. The
    result is called once with `example_inputs` and, where ONNX Runtime
    is installed, held against the pruned file.

    Where ``torch.distributed`` is initialised, all processes call this function alike. The first
    decides and writes, all of them train and evaluate, and all get the module; the report is the
    first one's.
    """
    module = with_stored_weights(_bare(module), example_inputs)
    report: Report | None
    if train is None and evaluate is None:
        message = export(module, example_inputs)
        narrowing = Narrowing(module, message)
        arguments = with_held(narrowing, message, example_inputs, arguments)
        report = prune_file(message, data, **arguments)
        small = narrowing.narrowed(report.outputs[0].to_bytes())
    else:
        own = Own(train, evaluate, train_samples, samples)
        small, report = prune_live(module, example_inputs, data, own, arguments)
    if report is not None:
        check(small, example_inputs, report.outputs[0])
    _leave(small, report)
    return small


def _bare(module: Any) -> Any:
    """The module itself, out of what compiles it or runs it in several processes."""
    while True:
        if isinstance(module, nn.parallel.DistributedDataParallel):
            module = module.module
        elif hasattr(module, "_orig_mod"):
            module = module._orig_mod
        else:
            return module


def _leave(module: nn.Module, report: Report | None) -> None:
    """The report on the module: plain, so that it is no part of its state."""
    object.__setattr__(module, "secateur_report", report)
