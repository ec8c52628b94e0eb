"""The user's own training and evaluation, as a run asks for them."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from .._trainer import as_array
from ..errors import MetricError, ModelError
from ._narrow import Narrowing
from ._ranks import Ranks

Train = Callable[[Any, int], Any]
Evaluate = Callable[[Any], float]
Arrays = dict[str, npt.NDArray[np.float32]]


class ModuleTrainer:
    """Trains the modules of pruned files with a function of the user's own.

    It is a :class:`secateur.Trainer`: files go in, arrays come out, and the module between them
    lives on its own device.
    """

    def __init__(
        self,
        narrowing: Narrowing,
        train: Train,
        samples: int,
        batch_size: int,
        ranks: Ranks | None = None,
    ) -> None:
        self.samples = samples
        self.batch_size = batch_size
        self.done = 0
        self._narrowing = narrowing
        self._train = train
        self._ranks = ranks

    def train(self, network: bytes, parameters: list[str], steps: int) -> Arrays:
        """Train the module of a file, in all processes; see :class:`secateur.Trainer`."""
        if self._ranks is None:
            return self.train_here(network, parameters, steps)
        with self._ranks.together("train", network, parameters, steps):
            return self.train_here(network, parameters, steps)

    def train_here(self, network: bytes, parameters: list[str], steps: int) -> Arrays:
        """Train it in this process."""
        module = self._narrowing.narrowed(network).train()
        laid_out = {name: self._narrowing.source(name) for name in parameters}
        self._freeze_others(module, {parameter for parameter, _ in laid_out.values()})
        with self._counting(module):
            self._train(module, steps)
        known, stored = _state(module), self._narrowing.stored(network)
        values = {}
        for name, (parameter, origin) in laid_out.items():
            found = known.get(parameter)
            if found is not None and origin is not None:
                found = origin.redone(found)
            if found is None and self._narrowing.is_constant(name):
                found = stored[name]
            if found is None:
                raise ModelError(
                    f"cannot train the module: `{name}` of its file is computed from parameters, "
                    "which cannot be followed",
                    "store what is computed (`torch.nn.utils.parametrize.remove_parametrizations`)",
                )
            values[name] = as_array(found.detach().float().cpu().numpy())
        return values

    def _freeze_others(self, module: nn.Module, trained: set[str]) -> None:
        """What the file holds and does not train stays: it would not be taken back."""
        stays = []
        for name, parameter in module.named_parameters():
            in_file = self._narrowing.holds(name)
            if parameter.requires_grad and in_file and name not in trained:
                parameter.requires_grad_(False)
                stays.append(f"`{name}`")
        if stays:
            warnings.warn(f"{', '.join(stays)} are not trained here and stay", stacklevel=2)

    @contextmanager
    def _counting(self, module: nn.Module) -> Iterator[None]:
        """Count the steps that optimizers of a module's parameters take."""
        self.done = 0
        own = {id(parameter) for parameter in module.parameters()}

        def stepped(optimizer: torch.optim.Optimizer, *_: Any) -> None:
            groups = optimizer.param_groups
            self.done += any(id(one) in own for group in groups for one in group["params"])

        hook = register_optimizer_step_post_hook(stepped)
        try:
            yield
        finally:
            hook.remove()


class ModuleMetric:
    """The quality of the module of a file, in points, by a function of the user's own."""

    def __init__(
        self, narrowing: Narrowing, evaluate: Evaluate, ranks: Ranks | None = None
    ) -> None:
        self._narrowing = narrowing
        self._evaluate = evaluate
        self._ranks = ranks

    def __call__(self, file: Path) -> float:
        """The mean over all processes for the network in a file."""
        message = file.read_bytes()
        if self._ranks is None:
            return self.of_message(message)
        with self._ranks.together("evaluate", message):
            return self.of_message(message)

    def of_message(self, message: bytes) -> float:
        """The same, called in each process."""
        quality = float(self._evaluate(self._narrowing.narrowed(message).eval()))
        if self._ranks is not None:
            quality = self._ranks.mean(quality)
        if not (math.isfinite(quality) and 0 <= quality <= 1):
            raise MetricError(f"`evaluate` gave {quality}, expected a quality from 0 to 1")
        return 100 * quality


def _state(module: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and buffers under all of their names."""
    parameters = module.named_parameters(remove_duplicate=False)
    buffers = module.named_buffers(remove_duplicate=False)
    return {**dict(parameters), **dict(buffers)}
