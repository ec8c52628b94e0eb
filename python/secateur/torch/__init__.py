"""PyTorch modules, pruned: the same classes with narrower layers.

>>> import secateur.torch
>>> small = secateur.torch.prune(  # doctest: +SKIP
...     net, torch.randn(1, 3, 224, 224), loader, budget={"macs": 0.5}
... )

:func:`prune` is three steps, which can be taken one by one: :func:`export` makes an ONNX file,
:func:`secateur.prune` a smaller one with its report, and :func:`narrow` the module that the smaller
file describes. With ``train`` and ``evaluate`` of the caller's own the search drives the caller's
training; :class:`Training` and :class:`Accuracy` are such functions, for loaders.
"""

from ._export import export
from ._loops import Accuracy, Training
from ._narrow import narrow
from ._prune import prune

__all__ = ["Accuracy", "Training", "export", "narrow", "prune"]
