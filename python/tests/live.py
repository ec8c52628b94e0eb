"""A small network and its training in PyTorch, for runs that drive it.

As a program it prunes that network: python live.py RUN_DIR OUTPUT [kill]. With `kill` it dies in
the middle of a recovery; under torchrun all processes prune it together, and the first writes the
module.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from conftest import read_digits
from torch import nn

import secateur.torch
from secateur.torch._ranks import mean_gradients, n_ranks

# As short as a run can be that still trains.
QUICK = {
    "budget": {"macs": 0.4},
    "recover_steps": 300,
    "agent_updates": 4,
    "ablation_images": 0,
    "seed": 7,
    "threads": 1,
    "progress": False,
}
BATCH = 64
HELD_OUT = 1000


class Digits:
    """The samples, and how they are trained on and evaluated: the same from call to call."""

    def __init__(self) -> None:
        images, labels = read_digits()
        self.x = torch.from_numpy(images.copy())[:, None].float() / 255
        self.y = torch.from_numpy(labels.copy()).long()
        self.train_samples = len(self.x) - HELD_OUT

    def train(
        self, module: nn.Module, steps: int, each: Callable[[int], None] | None = None
    ) -> None:
        """By SGD; each of several processes takes its part of a batch."""
        order = torch.Generator().manual_seed(5)
        rank = dist.get_rank() if n_ranks() > 1 else 0
        optimizer = torch.optim.SGD(module.parameters(), lr=0.05, momentum=0.9)
        decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
        model, device = mean_gradients(module), next(module.parameters()).device
        for step in range(steps):
            batch = torch.randint(self.train_samples, (BATCH,), generator=order)
            batch = batch[rank :: n_ranks()]
            optimizer.zero_grad()
            x, y = self.x[batch].to(device), self.y[batch].to(device)
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
            decay.step()
            if each is not None:
                each(step)

    @torch.no_grad()
    def evaluate(self, module: nn.Module) -> float:
        """The accuracy on what is held out; of several processes on a part each."""
        rank = dist.get_rank() if n_ranks() > 1 else 0
        own = slice(self.train_samples + rank, None, n_ranks())
        device = next(module.parameters()).device
        found = module(self.x[own].to(device)).argmax(1).cpu()
        return float((found == self.y[own]).float().mean())

    def looked_at(self) -> tuple[torch.Tensor, torch.Tensor]:
        """What networks are looked at with, as a network takes it."""
        return self.x[: self.train_samples], self.y[: self.train_samples]


def network() -> nn.Module:
    """Convolutions without and with a norm, hidden layers."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, 2, 1),
        nn.ReLU(),
        nn.Conv2d(8, 12, 3, 2, 1, bias=False),
        nn.GroupNorm(1, 12),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(12 * 49, 24),
        nn.ReLU(),
        nn.Linear(24, 10),
    )


def trained(digits: Digits) -> nn.Module:
    module = network()
    digits.train(module, 300)
    return module.eval()


def prune(module: nn.Module, digits: Digits, **arguments: Any) -> Any:
    """A run, whose arguments may be others than the usual ones."""
    usual = {
        "train": digits.train,
        "evaluate": digits.evaluate,
        "train_samples": digits.train_samples,
        "batch_size": BATCH,
        "normalise": "none",
    }
    data = digits.looked_at()
    return secateur.torch.prune(module, digits.x[:1], data, **{**usual, **QUICK, **arguments})


def main() -> None:
    torch.set_num_threads(1)
    run_dir, output = Path(sys.argv[1]), Path(sys.argv[2])
    digits = Digits()
    if "RANK" in os.environ:
        dist.init_process_group("gloo")
    given = output.with_name("given.pt")
    module = network()
    module.load_state_dict(torch.load(given))
    arguments: dict[str, Any] = {"run_dir": run_dir}
    if "kill" in sys.argv:

        def dies(step: int) -> None:
            if step == 10:
                os.kill(os.getpid(), signal.SIGKILL)

        arguments["train"] = lambda module, steps: digits.train(module, steps, dies)
    small = prune(module.eval(), digits, **arguments)
    if small.secateur_report is not None:
        torch.save(small, output)
    elif n_ranks() > 1:
        torch.save(small, output.with_suffix(f".{dist.get_rank()}"))


if __name__ == "__main__":
    main()
