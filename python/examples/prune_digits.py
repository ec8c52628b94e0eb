"""Trains a network on the MNIST of the sources, halves it, and shows what that cost.

Usage: python prune_digits.py DATA, with the folder `data/mnist` of the sources.
"""

from __future__ import annotations

import sys

import secateur


def told(epoch: secateur.Epoch) -> None:
    """What is printed of every pruning epoch."""
    print(f"{epoch.stage} {epoch.epoch}: {100 * epoch.quality:.2f} %, {epoch.params} parameters")


def main(data: str) -> None:
    trained = secateur.train(data, widths=[8, "M", 16, "M"], hidden=[32], epochs=1, seed=0)
    print(trained)
    report = secateur.prune(
        trained.to_bytes(), data, budget={"macs": 0.5}, seed=0, max_cost=0.3, callback=told
    )
    print(report)
    for layer, kept in report.kept.items():
        print(f"{layer} keeps {len(kept)} of {report.kept.widths[layer]}")
    small = report.outputs[0].save("small.onnx")
    if not secateur.verify(trained.to_bytes(), small):
        raise SystemExit("the written network does not hold what it promises")


if __name__ == "__main__":
    main(sys.argv[1])
