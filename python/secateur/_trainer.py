"""Who trains recoveries, where secateur itself does not."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt


class Trainer(Protocol):
    """Trains networks in another framework, or on another device.

    Attributes
    ----------
    samples : int
        Samples that it trains on.
    batch_size : int
        Samples of a step: with `samples` it tells what recoveries cost.
    done : int
        Steps of the present training so far, for the bar.
    """

    samples: int
    batch_size: int
    done: int

    def train(
        self, network: bytes, parameters: list[str], steps: int
    ) -> dict[str, npt.NDArray[np.float32]]:
        """Train a network.

        Parameters
        ----------
        network : bytes
            The message of an ONNX model.
        parameters : list of str
            The initializers that training may change.
        steps : int
            How many steps it may take.

        Returns
        -------
        dict of str to array
            The values of all `parameters`, in the model's layouts.
        """
        ...


def as_array(values: Any) -> npt.NDArray[np.float32]:
    """Values as a trainer gives them back."""
    return np.require(values, dtype=np.float32, requirements=["C", "A"])
