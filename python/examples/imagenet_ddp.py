"""Prunes a ResNet on an image folder, with as many processes as torchrun starts.

    torchrun --nproc-per-node=8 imagenet_ddp.py /data/imagenet --macs 0.5 --steps 50000 -o small.pt

The folder has `train` and `val`, each with a folder for every class. The network is one of
torchvision's, with its published weights or those of a file. Killed runs go on with `--resume`.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torchvision  # type: ignore[import-untyped]
from torch import nn
from torch.utils.data import DataLoader, DistributedSampler, Subset
from torchvision import transforms

import secateur.torch

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# Training images that networks are looked at with; `train` does not see them.
LOOKED_AT = 4096


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with `train` and `val`")
    parser.add_argument("--arch", default="resnet50", help="a classifier of torchvision's")
    parser.add_argument("--weights", type=Path, help="state to load instead of the published one")
    parser.add_argument("--macs", type=float, default=0.5, help="share that may remain")
    parser.add_argument("--steps", type=int, default=50_000, help="of the recovery, at most")
    parser.add_argument("--epochs", type=float, default=90, help="that the network was trained for")
    parser.add_argument("--batch", type=int, default=128, help="samples of a step in each process")
    parser.add_argument(
        "--lr", type=float, default=0.05, help="at its peak, for 256 samples a step"
    )
    parser.add_argument("--size", type=int, default=224, help="of the images")
    parser.add_argument("--workers", type=int, default=8, help="that load images, in each process")
    parser.add_argument("--run-dir", type=Path, default=Path("pruning"))
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("-o", "--output", type=Path, default=Path("small.pt"))
    return parser.parse_args()


def folders(root: Path, size: int) -> tuple[Subset[Any], Subset[Any], Any]:
    """Images to train on, to look at networks with, and to evaluate on."""
    last = [transforms.ToTensor(), transforms.Normalize(MEAN, DEVIATION)]
    random = [transforms.RandomResizedCrop(size), transforms.RandomHorizontalFlip()]
    middle = [transforms.Resize(size * 8 // 7), transforms.CenterCrop(size)]
    changed = torchvision.datasets.ImageFolder(root / "train", transforms.Compose(random + last))
    plain = torchvision.datasets.ImageFolder(root / "train", transforms.Compose(middle + last))
    held_out = torchvision.datasets.ImageFolder(root / "val", transforms.Compose(middle + last))
    order = torch.randperm(len(plain), generator=torch.Generator().manual_seed(0)).tolist()
    n = min(LOOKED_AT, len(plain) // 5)
    return Subset(changed, order[n:]), Subset(plain, order[:n]), held_out


def main() -> None:
    args = arguments()
    is_on_gpu = torch.cuda.is_available()
    device = torch.device("cpu")
    if is_on_gpu:
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if is_on_gpu else "gloo")
    rank, processes = dist.get_rank(), dist.get_world_size()

    train_images, looked_at, held_out = folders(args.data, args.size)
    usual = {"num_workers": args.workers, "pin_memory": is_on_gpu}
    sampler: DistributedSampler[Any] = DistributedSampler(train_images)
    train_loader = DataLoader(train_images, args.batch, sampler=sampler, drop_last=True, **usual)
    # Each process evaluates every so-many-th image, none of them twice.
    own = Subset(held_out, range(rank, len(held_out), processes))

    builder = getattr(torchvision.models, args.arch)
    module: nn.Module = builder(weights=None if args.weights else "DEFAULT")
    if args.weights:
        module.load_state_dict(torch.load(args.weights, map_location="cpu"))
    small = secateur.torch.prune(
        module.to(device).eval(),
        torch.zeros(1, 3, args.size, args.size),
        DataLoader(looked_at, args.batch, **usual),
        train=secateur.torch.Training(
            train_loader,
            nn.CrossEntropyLoss(label_smoothing=0.1),
            lr=args.lr * args.batch * processes / 256,
            weight_decay=1e-4,
            autocast=torch.bfloat16 if is_on_gpu else None,
        ),
        evaluate=secateur.torch.Accuracy(DataLoader(own, args.batch, **usual)),
        budget={"macs": args.macs},
        recover_steps=args.steps,
        reference_epochs=args.epochs,
        run_dir=args.run_dir,
        resume=args.resume,
        seed=0,
    )
    if rank == 0:
        print(small.secateur_report)
        torch.save(small, args.output)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
