"""Makes trained convolutional networks smaller: ONNX in, ONNX out.

>>> import secateur
>>> report = secateur.prune("net.onnx", data=(x, y), budget={"macs": 0.5})  # doctest: +SKIP
>>> report.outputs[0].save("small.onnx")  # doctest: +SKIP
"""

from ._compare import Comparison, compare
from ._demo import Demo, demo
from ._files import Bench, Check, Verdict, bench, verify
from ._look import Evaluation, Findings, Inspection, evaluate, inspect
from ._progress import Epoch
from ._prune import prune
from ._quantise import Quantised, quantise
from ._report import Kept, Network, Report, report
from ._secateur import __version__
from ._settings import SettingsTable, settings
from ._train import Trained, train
from ._trainer import Trainer
from .errors import (
    DataError,
    Interrupted,
    MetricError,
    ModelError,
    RunError,
    SecateurError,
    SettingError,
    TrainerError,
    VerifyError,
)

__all__ = [
    "Bench",
    "Check",
    "Comparison",
    "DataError",
    "Demo",
    "Epoch",
    "Evaluation",
    "Findings",
    "Inspection",
    "Interrupted",
    "Kept",
    "MetricError",
    "ModelError",
    "Network",
    "Quantised",
    "Report",
    "RunError",
    "SecateurError",
    "SettingError",
    "SettingsTable",
    "Trained",
    "Trainer",
    "TrainerError",
    "Verdict",
    "VerifyError",
    "__version__",
    "bench",
    "compare",
    "demo",
    "evaluate",
    "inspect",
    "prune",
    "quantise",
    "report",
    "settings",
    "train",
    "verify",
]
