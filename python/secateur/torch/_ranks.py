"""Several processes under ``torch.distributed``: the first decides, the others follow.

The first process runs the search. Whenever a network is to be trained or evaluated it sends the
file of that network to the others, and all call the user's function on the same module: gradients
and metrics meet there. Nothing but the first process writes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from ..errors import RunError

# The first process may look at networks for as long as it likes while the others wait.
_PATIENCE = timedelta(days=30)


def are_several() -> bool:
    """True in one of several processes that know of each other."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def n_ranks() -> int:
    """Processes that train together."""
    return dist.get_world_size() if are_several() else 1


def mean_gradients(module: nn.Module) -> nn.Module:
    """The module, or one whose gradients are the mean of those of all processes."""
    if not are_several():
        return module
    return nn.parallel.DistributedDataParallel(module)


def sum_over_ranks(values: torch.Tensor) -> torch.Tensor:
    """The sum over all processes."""
    if are_several():
        device = "cuda" if dist.get_backend() == "nccl" else "cpu"
        moved = values.to(device)
        dist.all_reduce(moved)
        values = moved.cpu()
    return values


class Ranks:
    """The processes of a run."""

    def __init__(self) -> None:
        # Of their own, over the hosts' network: waiting takes no device, and does not time out.
        self._group: Any = dist.new_group(backend="gloo", timeout=_PATIENCE)
        #: True while all processes are in a function of the user's own.
        self._together = False

    @property
    def is_first(self) -> bool:
        """True in the process that decides."""
        return dist.get_rank() == 0

    def tell(self, what: str, *arguments: Any) -> None:
        """Tell the others what comes next."""
        dist.broadcast_object_list([what, arguments], src=0, group=self._group)

    def hear(self) -> tuple[str, tuple[Any, ...]]:
        """What comes next, and its arguments.

        Raises
        ------
        RunError
            Where the run has ended in the first process.
        """
        told: list[Any] = [None, None]
        dist.broadcast_object_list(told, src=0, group=self._group)
        what, arguments = told
        if what == "failed":
            raise RunError(f"the run has ended in the first process: {arguments[0]}")
        return what, arguments

    @contextmanager
    def together(self, what: str, *arguments: Any) -> Iterator[None]:
        """Have the others call a function with these arguments, as this process does."""
        self.tell(what, *arguments)
        self._together = True
        yield
        self._together = False

    @contextmanager
    def leading(self) -> Iterator[None]:
        """Decide for the others: they end with an error where this process does.

        Where it does in a function that all are in, they hear of it when this process is gone.
        """
        try:
            yield
        except BaseException as error:
            if not self._together:
                self.tell("failed", str(error))
            raise

    def mean(self, value: float) -> float:
        """The mean over all processes."""
        sums = torch.tensor([value], dtype=torch.float64)
        dist.all_reduce(sums, group=self._group)
        return float(sums[0]) / dist.get_world_size()

    def follow(self, functions: dict[str, Callable[..., Any]]) -> bytes:
        """Do what the first process says, until it sends the file of the result."""
        while True:
            what, arguments = self.hear()
            if what == "done":
                result: bytes = arguments[0]
                return result
            functions[what](*arguments)
