"""Runs whose networks the caller's own functions train and evaluate."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("onnxscript", reason="PyTorch's exporter needs onnxscript")

import live
import onnx
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import secateur
import secateur.torch
from secateur.torch._check import difference, in_onnxruntime, run
from secateur.torch._narrow import Narrowing
from secateur.torch._trainer import ModuleTrainer

# Both sum the same terms in 32 bits, in another order.
TOLERANCE = 1e-5
PROGRAM = Path(live.__file__)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Any:
    """The same sums from run to run."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data() -> live.Digits:
    return live.Digits()


@pytest.fixture(scope="module")
def net(data: live.Digits) -> nn.Module:
    return live.trained(data)


@pytest.fixture(scope="module")
def whole(net: nn.Module, data: live.Digits) -> Any:
    """What an undisturbed run gives."""
    return live.prune(net, data)


def widths(module: nn.Module) -> list[torch.Size]:
    return [parameter.shape for parameter in module.parameters()]


def same(one: nn.Module, other: nn.Module) -> bool:
    mine, theirs = one.state_dict(), other.state_dict()
    return mine.keys() == theirs.keys() and all(
        mine[name].shape == theirs[name].shape and torch.equal(mine[name], theirs[name])
        for name in mine
    )


def test_recoveries_are_the_callers(net: nn.Module, data: live.Digits) -> None:
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    steps: list[int] = []
    modules: list[nn.Module] = []

    def train(module: nn.Module, n: int) -> None:
        assert threading.current_thread() is threading.main_thread() and module.training
        steps.append(n)
        data.train(module, n)
        modules.append(module)

    def evaluate(module: nn.Module) -> float:
        assert threading.current_thread() is threading.main_thread() and not module.training
        return data.evaluate(module)

    small = live.prune(net, data, train=train, evaluate=evaluate)
    report = small.secateur_report
    (output,) = report.outputs
    assert len(steps) == 1 and 50 <= steps[0] <= 300
    assert same(small, modules[0]) and not small.training
    assert output.figures["size"]["macs"] <= 0.4 * report.before["size"]["macs"]
    assert difference(in_onnxruntime(output.path, data.x[:1]), run(small, data.x[:1])) <= TOLERANCE
    assert output.figures["measure"] == pytest.approx(100 * data.evaluate(small))
    assert report.before["measure"] == pytest.approx(100 * data.evaluate(net))
    # What was given is as it was.
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


def test_a_training_that_ruins_is_not_taken_over(net: nn.Module, data: live.Digits) -> None:
    qualities: list[float] = []

    def ruins(module: nn.Module, steps: int) -> None:
        qualities.append(data.evaluate(module.eval()))
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.normal_()

    small = live.prune(net, data, train=ruins)
    assert qualities == [data.evaluate(small)] and qualities[0] > 0.8


def test_aec_holds_its_floor_on_the_callers_quality(net: nn.Module, data: live.Digits) -> None:
    small = live.prune(net, data, mode="aec", budget=None, max_drop=10, aec_target=0.3)
    figures = small.secateur_report.outputs[0].figures
    assert figures["measure"] >= 100 * data.evaluate(net) - 10
    assert figures["size"]["params"] < small.secateur_report.before["size"]["params"]


def test_the_callers_quality_goes_with_secateurs_training(
    net: nn.Module, data: live.Digits
) -> None:
    small = live.prune(net, data, train=None)
    figures = small.secateur_report.outputs[0].figures
    assert figures["measure"] == pytest.approx(100 * data.evaluate(small.eval()))


def test_what_an_idle_training_gives_back_is_what_the_file_has() -> None:
    from test_torch import Net

    torch.manual_seed(0)
    net = Net().eval()
    message = secateur.torch.export(net, torch.zeros(3, 1, 28, 28))
    report = secateur.prune(message, no_train=True, budget={"macs": 0.5})
    small = report.outputs[0].to_bytes()
    stored = {
        one.name: onnx.numpy_helper.to_array(one)
        for one in report.outputs[0].to_onnx().graph.initializer
    }
    names = [
        name for name, values in stored.items() if values.dtype == np.float32 and values.size > 1
    ]
    # Among them a linear layer whose weights the file holds in another order of axes.
    assert any(name not in net.state_dict() for name in names)
    own = [name for name in names if Narrowing(net, message).source(name)[0] in net.state_dict()]
    assert len(own) >= len(list(net.parameters()))
    trainer = ModuleTrainer(Narrowing(net, message), lambda module, steps: None, 1, 1)
    given_back = trainer.train(small, own, 1)
    assert set(given_back) == set(own)
    assert all(np.array_equal(given_back[name], stored[name]) for name in own)


def test_a_training_that_fails_is_the_cause_and_the_run_goes_on(
    net: nn.Module, data: live.Digits, whole: nn.Module, tmp_path: Path
) -> None:
    def fails(module: nn.Module, steps: int) -> None:
        raise ZeroDivisionError("no batches")

    where = tmp_path / "run"
    with pytest.raises(secateur.TrainerError, match="no batches") as found:
        live.prune(net, data, train=fails, run_dir=where)
    assert isinstance(found.value.__cause__, ZeroDivisionError)
    assert f'`run_dir="{where}", resume=True`' in str(found.value.hint)
    assert same(live.prune(net, data, run_dir=where, resume=True), whole)


def test_ctrl_c_in_a_training_keeps_the_run(
    net: nn.Module, data: live.Digits, whole: nn.Module, tmp_path: Path
) -> None:
    def interrupted(module: nn.Module, steps: int) -> None:
        raise KeyboardInterrupt

    where = tmp_path / "run"
    with pytest.raises(secateur.Interrupted) as found:
        live.prune(net, data, train=interrupted, run_dir=where)
    assert found.value.run_dir == where
    assert same(live.prune(net, data, run_dir=where, resume=True), whole)


def call(launcher: list[str], folder: Path, net: nn.Module, *words: str) -> Any:
    """Another process, which prunes the same network."""
    torch.save(net.state_dict(), folder / "given.pt")
    program = [*launcher, str(PROGRAM), str(folder / "run"), str(folder / "small.pt"), *words]
    paths = os.pathsep.join(path for path in sys.path if path)
    return subprocess.run(program, env={**os.environ, "PYTHONPATH": paths}, timeout=300)


def test_a_killed_run_goes_on(
    net: nn.Module, data: live.Digits, whole: nn.Module, tmp_path: Path
) -> None:
    killed = call([sys.executable], tmp_path, net, "kill")
    assert killed.returncode != 0 and not (tmp_path / "small.pt").exists()
    assert same(live.prune(net, data, run_dir=tmp_path / "run", resume=True), whole)


def test_two_processes_decide_as_one(
    net: nn.Module, data: live.Digits, whole: nn.Module, tmp_path: Path
) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    assert call(launcher, tmp_path, net).returncode == 0
    files = [tmp_path / "small.pt", tmp_path / "small.1"]
    first, second = (torch.load(file, weights_only=False) for file in files)
    assert same(first, second) and widths(first) == widths(whole)
    # The mean of two gradients is the gradient of all, but for the order of sums.
    pairs = zip(first.state_dict().values(), whole.state_dict().values())
    assert all(torch.allclose(one, other, atol=1e-3) for one, other in pairs)
    runs = list(tmp_path.glob("**/checkpoint.bin"))
    assert runs == [tmp_path / "run" / "checkpoint.bin"]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_everything_stays_on_the_device(net: nn.Module, data: live.Digits) -> None:
    def train(module: nn.Module, steps: int) -> None:
        assert all(parameter.is_cuda for parameter in module.parameters())
        data.train(module, steps)

    given = copy.deepcopy(net).cuda()
    small = live.prune(given, data, train=train)
    assert all(tensor.is_cuda for tensor in [*small.parameters(), *small.buffers()])
    assert data.evaluate(small) > 0.8


def test_a_loader_and_a_loss_are_enough(net: nn.Module, data: live.Digits) -> None:
    x, y = data.looked_at()
    held_out = TensorDataset(data.x[data.train_samples :], data.y[data.train_samples :])
    loader = DataLoader(TensorDataset(x, y), batch_size=64, shuffle=True)
    train = secateur.torch.Training(loader, nn.functional.cross_entropy, autocast=torch.bfloat16)
    evaluate = secateur.torch.Accuracy(DataLoader(held_out, batch_size=500))
    small = secateur.torch.prune(
        torch.compile(net), data.x[:1], train=train, evaluate=evaluate, samples=1500, **live.QUICK
    )
    assert type(small) is nn.Sequential
    assert evaluate(small) > 0.8
    told = small.secateur_report.to_dict()["data"]
    assert sum(told[part] for part in ("n_train", "n_search", "n_confirm", "n_test")) == 1500


def test_what_does_not_go_together_is_told(net: nn.Module, data: live.Digits) -> None:
    with pytest.raises(secateur.SettingError, match="`recover_lr`"):
        live.prune(net, data, recover_lr=0.1)
    with pytest.raises(secateur.SettingError, match="training samples is not known"):
        live.prune(net, data, train_samples=None)
    with pytest.raises(secateur.SettingError, match="two measures"):
        live.prune(net, data, metric=lambda file: 0.0)
    with pytest.raises(secateur.MetricError, match="gave 97.0"):
        live.prune(net, data, evaluate=lambda module: 97.0)
