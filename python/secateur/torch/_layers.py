"""Sizes that layers know of themselves, set from their parameters."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd


def set_sizes(layer: nn.Module, groups: int | None) -> None:
    """Set a layer's attributes to what its parameters say.

    `groups` is what the pruned file says of it: a depthwise convolution has as many as channels.
    """
    if isinstance(layer, _ConvNd):
        _set_conv(layer, groups)
    elif isinstance(layer, nn.Linear):
        layer.out_features, layer.in_features = layer.weight.shape
    elif isinstance(layer, nn.Bilinear):
        layer.out_features, layer.in1_features, layer.in2_features = layer.weight.shape
    elif isinstance(layer, _NormBase):
        known = layer.weight if layer.weight is not None else layer.running_mean
        if known is not None:
            layer.num_features = known.shape[0]
    elif isinstance(layer, nn.GroupNorm) and layer.weight is not None:
        layer.num_channels = layer.weight.shape[0]
        layer.num_groups = groups or layer.num_groups
    elif isinstance(layer, (nn.LayerNorm, nn.RMSNorm)) and layer.weight is not None:
        layer.normalized_shape = tuple(layer.weight.shape)
    elif isinstance(layer, nn.PReLU):
        layer.num_parameters = layer.weight.shape[0]
    elif isinstance(layer, nn.RNNBase):
        weights = layer.weight_ih_l0
        assert isinstance(weights, torch.Tensor)
        layer.input_size = weights.shape[1]


def _set_conv(layer: _ConvNd, groups: int | None) -> None:
    if groups is not None:
        layer.groups = groups
    first, second = layer.weight.shape[:2]
    if isinstance(layer, _ConvTransposeNd):
        layer.in_channels, layer.out_channels = first, second * layer.groups
    else:
        layer.out_channels, layer.in_channels = first, second * layer.groups
