"""Training and evaluation from loaders, for those who have no functions of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import nn

from ..errors import DataError
from ._ranks import mean_gradients, sum_over_ranks

Loss = Callable[[Any, torch.Tensor], torch.Tensor]


class Training:
    """Trains classifiers, or whatever has inputs and targets, by SGD that warms up and decays.

    Parameters
    ----------
    loader : iterable of batches
        Pairs of inputs and targets, such as a ``DataLoader``.
    loss : callable
        The loss of outputs and targets, such as ``torch.nn.functional.cross_entropy``.
    lr : float, default 0.05
        The learning rate at its peak.
    momentum, weight_decay : float
        Of the optimizer.
    autocast : torch.dtype, optional
        Compute in this type where that is safe, such as ``torch.bfloat16``.
    """

    def __init__(
        self,
        loader: Iterable[Any],
        loss: Loss,
        *,
        lr: float = 0.05,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
        autocast: torch.dtype | None = None,
    ) -> None:
        self.loader = loader
        self.loss = loss
        self.lr = lr
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.autocast = autocast

    @property
    def samples(self) -> int | None:
        """Samples of a pass over the loader, where it tells."""
        dataset: Any = getattr(self.loader, "dataset", None)
        return len(dataset) if hasattr(dataset, "__len__") else None

    @property
    def batch_size(self) -> int | None:
        """Samples of a step of this process, where the loader tells."""
        return getattr(self.loader, "batch_size", None)

    def __call__(self, module: nn.Module, steps: int) -> None:
        """Train a module for so many steps."""
        device = _device(module)
        trained = [one for one in module.parameters() if one.requires_grad]
        optimizer = torch.optim.SGD(
            trained,
            lr=self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            nesterov=self.momentum > 0,
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=self.lr, total_steps=steps, cycle_momentum=False
        )
        model = mean_gradients(module.train())
        for x, y in _batches(self.loader, steps):
            x, y = _moved(x, device), _moved(y, device)
            with torch.autocast(device.type, self.autocast, enabled=self.autocast is not None):
                loss = self.loss(model(x), y)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()


class Accuracy:
    """The share of a loader's samples whose class is the one that scores highest.

    Under ``torch.distributed`` samples of all processes count: each brings its own.
    """

    def __init__(self, loader: Iterable[Any]) -> None:
        self.loader = loader

    @torch.no_grad()
    def __call__(self, module: nn.Module) -> float:
        """Evaluate a module."""
        device = _device(module)
        right = torch.zeros(2, dtype=torch.float64)
        for x, y in self.loader:
            found = module(_moved(x, device)).argmax(1).cpu() == y.cpu()
            right += torch.tensor([found.sum(), found.numel()], dtype=torch.float64)
        right = sum_over_ranks(right)
        if right[1] == 0:
            raise DataError("cannot evaluate: the loader holds no batch")
        return float(right[0] / right[1])


def _device(module: nn.Module) -> torch.device:
    return next(module.parameters()).device


def _moved(values: Any, device: torch.device) -> Any:
    return values.to(device, non_blocking=True)


def _batches(loader: Iterable[Any], steps: int) -> Iterator[Any]:
    """So many batches, from as many passes as that takes."""
    left, epoch = steps, 0
    while left > 0:
        sampler: Any = getattr(loader, "sampler", None)
        if hasattr(sampler, "set_epoch"):
            sampler.set_epoch(epoch)
        before = left
        for batch in loader:
            yield batch
            left -= 1
            if left == 0:
                return
        if left == before:
            raise DataError("cannot train: the loader holds no batch")
        epoch += 1
