"""The extension: plain and complete arguments, JSON as results."""

from pathlib import Path
from typing import Any, TypeAlias, final

from numpy.typing import NDArray

from ._data import Arrays
from ._report import Found
from ._settings import Words

__all__ = [
    "Demo",
    "Samples",
    "Trials",
    "__version__",
    "bench",
    "compare",
    "compare_commands",
    "copy_model",
    "declared",
    "evaluate",
    "has_normalisation",
    "inspect",
    "inspect_data",
    "kept",
    "prepared",
    "prune",
    "prune_without_training",
    "quantise",
    "report",
    "run_command",
    "setting_key",
    "train",
    "verify",
]

__version__: str

_Model: TypeAlias = Path | bytes
_Data: TypeAlias = Path | Arrays
_Told: TypeAlias = tuple[str, str, list[str]]
_Program: TypeAlias = tuple[Path, list[str]]

@final
class Samples:
    def __len__(self) -> int: ...
    def batch(self, index: int) -> dict[str, NDArray[Any]]: ...

@final
class Demo:
    def __new__(cls, data: Path, output: Path, settings: Words, command: str) -> Demo: ...
    def prune(
        self, mode: str, threads: int | None, observer: Any
    ) -> tuple[Path, Path, Found]: ...
    def train(self, threads: int | None, observer: Any) -> tuple[Path, str]: ...

@final
class Trials:
    def __new__(cls, model: _Model, allow_mixing: bool, ignore: list[str]) -> Trials: ...
    def groups(self) -> list[tuple[int, list[str]]]: ...
    def without_first(self, groups: list[int]) -> bytes: ...

def bench(
    models: list[_Model], batches: list[int], rounds: int, threads: int | None, settings: Words
) -> tuple[str, list[str]]: ...
def compare(
    asked: Any, program: _Program, observer: Any
) -> tuple[str, str, Path, int]: ...
def compare_commands(asked: Any) -> list[tuple[str, str | None]]: ...
def copy_model(model: _Model, path: Path) -> None: ...
def declared(job: str) -> list[list[str]]: ...
def evaluate(
    model: _Model,
    data: _Data,
    original: _Model | None,
    split: str,
    threads: int | None,
    settings: Words,
) -> _Told: ...
def has_normalisation(model: _Model) -> bool: ...
def inspect(
    model: _Model,
    allow_mixing: bool,
    plan: bool,
    latency: bool,
    latency_checks: int | None,
    threads: int | None,
    settings: Words,
) -> _Told: ...
def inspect_data(data: _Data, model: _Model | None, settings: Words) -> _Told: ...
def kept(original: _Model, small: _Model) -> str: ...
def prepared(model: _Model) -> bytes: ...
def prune(run: Any, data: _Data, metric: Any, trainer: Any, observer: Any) -> Found: ...
def prune_without_training(
    run: Any, data: _Data | None, calibration_images: int, observer: Any
) -> Found: ...
def quantise(
    model: Path,
    output: Path,
    data: _Data,
    calibration_images: int,
    run_dir: Path | None,
    command: str,
    threads: int | None,
    settings: Words,
    quantiser: Any | None,
) -> tuple[str, str, Path]: ...
def report(run_dir: Path) -> Found: ...
def run_command(words: list[str], program: _Program, quantiser: Any | None) -> int: ...
def setting_key(name: str) -> str: ...
def train(
    start: Any,
    data: _Data,
    config: Path | None,
    settings: Words,
    threads: int | None,
    observer: Any,
) -> tuple[bytes, str]: ...
def verify(original: _Model, small: _Model, settings: Words) -> tuple[str, str | None]: ...
