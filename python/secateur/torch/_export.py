"""A module as an ONNX file whose tensors are called as the module's parameters."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import nn

from ..errors import ModelError

Inputs = Any


def export(module: nn.Module, example_inputs: Inputs) -> bytes:
    """Export a module in evaluation mode, every parameter under its own name.

    Parameters
    ----------
    module : torch.nn.Module
        The network, on any device; it is left as it is.
    example_inputs : tensor, tuple of tensors, or dict of tensors by argument
        What the network is called with.

    Returns
    -------
    bytes
        The model's message.
    """
    copy = deepcopy(module).cpu().eval()
    args, kwargs = call_arguments(example_inputs)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            # The exporter warns of its own deprecated calls.
            warnings.simplefilter("ignore")
            # Not optimised: that would put constants in the place of parameters.
            program = torch.onnx.export(
                copy, args, kwargs=kwargs, dynamo=True, optimize=False, verbose=False
            )
    except Exception as error:
        raise ModelError(
            f"cannot export `{type(module).__name__}`: {_first_line(error)}",
            "`torch.onnx.export(module, example_inputs, dynamo=True)` shows what PyTorch does not "
            "export",
        ) from error
    if program is None:
        raise ModelError(f"cannot export `{type(module).__name__}`: PyTorch gave no program")
    message: bytes = program.model_proto.SerializeToString()
    return message


def call_arguments(example_inputs: Inputs) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Positional and named arguments, on the host."""
    if isinstance(example_inputs, Mapping):
        return (), {str(name): _on_host(value) for name, value in example_inputs.items()}
    if isinstance(example_inputs, (tuple, list)):
        return tuple(_on_host(value) for value in example_inputs), {}
    return (_on_host(example_inputs),), {}


def _on_host(value: Any) -> Any:
    return value.detach().cpu() if isinstance(value, torch.Tensor) else value


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
