"""Modules: the same classes with narrower layers."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import QUICK

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("onnxscript", reason="PyTorch's exporter needs onnxscript")

from torch import nn

import secateur
import secateur.torch
from secateur.torch._check import difference, in_onnxruntime, run

HALF = {"no_train": True, "budget": {"macs": 0.5}}
# Both sum the same terms in 32 bits, in another order.
TOLERANCE = 1e-5


class Net(nn.Module):
    """Residual, depthwise and grouped layers, norms, a slope for each channel, a hidden layer."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, 2, 1)
        self.norm = nn.BatchNorm2d(16)
        self.depthwise = nn.Conv2d(16, 16, 3, 1, 1, groups=16)
        self.slopes = nn.PReLU(16)
        self.point = nn.Conv2d(16, 16, 1)
        self.grouped = nn.Conv2d(16, 24, 3, 2, 1, groups=4)
        self.group_norm = nn.GroupNorm(4, 24)
        self.hidden = nn.Linear(24, 32)
        self.layer_norm = nn.LayerNorm(32)
        self.head = nn.Linear(32, classes)
        with torch.no_grad():
            self.norm.running_mean.uniform_(-0.2, 0.2)
            self.norm.running_var.uniform_(0.6, 1.6)
            self.norm.weight.uniform_(0.6, 1.4)

    def forward(self, x: Any) -> Any:
        x = torch.relu(self.norm(self.stem(x)))
        x = x + self.point(self.slopes(self.depthwise(x)))
        x = torch.relu(self.group_norm(self.grouped(x))).mean((2, 3))
        return self.head(torch.relu(self.layer_norm(self.hidden(x))))


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net().eval()


def inputs() -> Any:
    return torch.randn(3, 1, 28, 28, generator=torch.Generator().manual_seed(1))


def in_file(module: Net) -> int:
    """Parameters of its file: PyTorch writes a scale and a shift of each of a norm's groups too."""
    own = sum(parameter.numel() for parameter in module.parameters())
    return own + 2 * module.group_norm.num_groups


def apart(module: nn.Module) -> float:
    """From what the pruned file gives."""
    (network,) = module.secateur_report.outputs
    return difference(in_onnxruntime(network.path, inputs()), run(module, inputs()))


def test_a_module_is_narrower_and_gives_what_the_file_gives(net: Net) -> None:
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    small = secateur.torch.prune(net, inputs(), **HALF)
    assert type(small) is Net and apart(small) <= TOLERANCE
    assert small.secateur_report.outputs[0].figures["size"]["params"] == in_file(small)
    width = small.stem.out_channels
    assert width == small.stem.weight.shape[0] < 16
    assert small.norm.num_features == width == small.depthwise.groups
    assert small.depthwise.in_channels == small.depthwise.out_channels == width
    assert small.slopes.num_parameters == width == small.point.in_channels
    assert small.grouped.groups == 4 == small.group_norm.num_groups
    assert small.grouped.in_channels == width
    assert small.group_norm.num_channels == small.grouped.out_channels == small.hidden.in_features
    assert small.hidden.out_features == small.head.in_features
    kept = small.secateur_report.kept["stem"]
    assert torch.equal(small.stem.weight, net.stem.weight[kept])
    # What was given is as it was.
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


def test_it_trains_saves_and_exports_as_before(net: Net, tmp_path: Path) -> None:
    small = secateur.torch.prune(net, inputs(), **HALF)
    optimizer = torch.optim.SGD(small.parameters(), lr=0.1)
    loss = small.train()(inputs()).square().mean()
    loss.backward()
    optimizer.step()
    small.eval()
    with torch.no_grad():
        assert small(inputs()).square().mean() < loss
    file = io.BytesIO()
    torch.save(small.state_dict(), file)
    file.seek(0)
    again = secateur.torch.prune(net, inputs(), **HALF)
    again.load_state_dict(torch.load(file))
    assert torch.equal(again(inputs()), small(inputs()))
    exported = secateur.inspect(secateur.torch.export(small, inputs()))
    assert exported["size"]["params"] == in_file(small)


def test_mode_device_type_and_what_trains_stay(net: Net) -> None:
    net.train()
    net.norm.eval()
    net.stem.weight.requires_grad_(False)
    small = secateur.torch.prune(net, inputs(), **HALF)
    assert small.training and not small.norm.training
    trains = {name: parameter.requires_grad for name, parameter in small.named_parameters()}
    assert trains == {name: parameter.requires_grad for name, parameter in net.named_parameters()}
    assert net.training and not net.norm.training


def test_tied_parameters_stay_tied() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(1, 12, 3, padding=1)
            self.again = nn.Conv2d(12, 12, 3, padding=1)
            self.third = nn.Conv2d(12, 12, 3, padding=1)
            self.third.weight = self.again.weight
            self.head = nn.Conv2d(12, 5, 1)

        def forward(self, x: Any) -> Any:
            x = torch.relu(self.first(x))
            return self.head(torch.relu(self.third(torch.relu(self.again(x)))))

    torch.manual_seed(0)
    small = secateur.torch.prune(Tied().eval(), inputs(), **HALF)
    assert small.third.weight is small.again.weight
    assert small.first.out_channels < 12 and apart(small) <= TOLERANCE


def test_groups_of_a_norm_go_with_its_channels() -> None:
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 24, 3), nn.GroupNorm(4, 24), nn.ReLU(), nn.Conv2d(24, 4, 1)]
    small = secateur.torch.prune(nn.Sequential(*layers).eval(), inputs(), **HALF)
    norm = small[1]
    assert norm.num_groups < 4 and norm.num_channels == 6 * norm.num_groups == small[0].out_channels
    assert apart(small) <= TOLERANCE


class Standardised(nn.Conv2d):
    """Weight standardisation: Qiao et al. 2019, arXiv:1903.10520."""

    def forward(self, x: Any) -> Any:
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        weight = weight / weight.std((1, 2, 3), keepdim=True)
        return self._conv_forward(x, weight, self.bias)


class Attentive(nn.Conv2d):
    """A weight that depends on the input."""

    def forward(self, x: Any) -> Any:
        return self._conv_forward(x, self.weight * x.mean().tanh(), self.bias)


class Doubled(nn.PReLU):
    """A computed vector of another layer."""

    def forward(self, x: Any) -> Any:
        return nn.functional.prelu(x, 2.0 * self.weight)


def test_computed_weights_are_kept_in_the_place_of_what_they_are_computed_from(net: Net) -> None:
    nn.utils.parametrizations.weight_norm(net.stem)
    nn.utils.parametrizations.weight_norm(net.hidden)
    net.point, net.grouped = Standardised(16, 16, 1), Standardised(16, 24, 3, 2, 1, groups=4)
    net.point.weight.requires_grad_(False)
    # Of a parametrised layer the bias comes first.
    net.stem.bias.requires_grad_(False)
    with pytest.warns(UserWarning, match="`stem`, `point`, `grouped`, `hidden` compute"):
        small = secateur.torch.prune(net.eval(), inputs(), **HALF)
    assert type(small) is Net and apart(small) <= TOLERANCE
    for name in ("stem", "point", "grouped"):
        layer, given = getattr(small, name), getattr(net, name)
        assert type(layer) is nn.Conv2d and layer.weight.shape < given.weight.shape
        assert layer.stride == given.stride and layer.training is given.training
    assert not small.point.weight.requires_grad and small.grouped.weight.requires_grad
    assert small.stem.weight.requires_grad and not small.stem.bias.requires_grad
    # The given module is left as it is.
    assert type(net.point) is Standardised and hasattr(net.stem, "parametrizations")


def test_weights_that_depend_on_inputs_are_not_kept() -> None:
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 12, 3), nn.ReLU(), nn.Conv2d(12, 12, 3), nn.ReLU(), Attentive(12, 4, 1)]
    module = nn.Sequential(*layers).eval()
    small = secateur.torch.prune(module, inputs(), **HALF)
    assert type(small[4]) is Attentive and apart(small) <= TOLERANCE


def test_layers_with_other_computed_values_keep_their_kernels() -> None:
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3), Doubled(16)]
    module = nn.Sequential(*layers, nn.Conv2d(16, 4, 1)).eval()
    with pytest.warns(UserWarning, match="`2` keep their kernels.*`3.weight`"):
        small = secateur.torch.prune(module, inputs(), **HALF)
    assert small[3].weight.shape == (16,) and small[0].out_channels < 16
    assert apart(small) <= TOLERANCE


def test_parameters_without_a_part_in_evaluation_stay(net: Net) -> None:
    net.auxiliary = nn.Linear(7, 7)
    with pytest.warns(UserWarning, match="`auxiliary.weight`, `auxiliary.bias` are not in the file"):
        small = secateur.torch.prune(net, inputs(), **HALF)
    assert torch.equal(small.auxiliary.weight, net.auxiliary.weight)


class Halves(nn.Module):
    """As YOLO's blocks do: a layer's output in two halves, which the code takes for equal."""

    def __init__(self) -> None:
        super().__init__()
        self.split = nn.Conv2d(16, 16, 1)
        self.inner = nn.Conv2d(8, 8, 3, padding=1)
        self.join = nn.Conv2d(24, 16, 1)

    def forward(self, x: Any) -> Any:
        one, other = self.split(x).chunk(2, 1)
        return self.join(torch.cat([one, other, torch.relu(self.inner(other))], 1))


class Shuffled(nn.Module):
    """Channels by number."""

    def forward(self, x: Any) -> Any:
        return x.reshape(x.shape[0], 2, 8, 784).transpose(1, 2).reshape(x.shape[0], 16, 28, 28)


def test_layers_that_the_code_holds_keep_their_kernels() -> None:
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), Halves(), nn.ReLU(), nn.Conv2d(16, 4, 1)]
    with pytest.warns(UserWarning, match="`2.split` keep their kernels, as the module does not"):
        small = secateur.torch.prune(nn.Sequential(*layers).eval(), inputs(), **HALF)
    assert small[2].split.out_channels == 16 and apart(small) <= TOLERANCE
    assert small[0].out_channels < 16 and small[2].inner.out_channels < 8


def test_a_module_whose_code_holds_everything_is_refused() -> None:
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 16, 3, padding=1), Shuffled(), nn.ReLU(), nn.Conv2d(16, 4, 1)]
    with pytest.raises(secateur.ModelError, match="it does not run, in `1`"):
        secateur.torch.prune(nn.Sequential(*layers).eval(), inputs(), **HALF)


def test_a_module_that_leaves_its_outputs_to_chance_is_refused() -> None:
    class Random(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(1, 8, 3)
            self.head = nn.Conv2d(8, 2, 1)

        def forward(self, x: Any) -> Any:
            return self.head(self.layer(x)) + torch.rand(1)

    with pytest.raises(secateur.ModelError, match="not those of its own ONNX file"):
        secateur.torch.prune(Random().eval(), inputs(), **HALF)


def test_what_cannot_be_exported_is_told(net: Net) -> None:
    with pytest.raises(secateur.ModelError, match="cannot export `Net`"):
        secateur.torch.prune(net, torch.zeros(1, 3, 5, 5), **HALF)


def test_a_loader_drives_a_run(net: Net, digits: tuple[np.ndarray, np.ndarray]) -> None:
    images, labels = (torch.from_numpy(part.copy()) for part in digits)
    data = torch.utils.data.TensorDataset(images[:, None].float() / 255, labels.long())
    optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
    for x, y in torch.utils.data.DataLoader(data, batch_size=64, shuffle=True):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net.train()(x), y).backward()
        optimizer.step()
    loader = torch.utils.data.DataLoader(data, batch_size=256)
    small = secateur.torch.prune(net.eval(), inputs(), loader, budget={"params": 0.6}, **QUICK)
    assert apart(small) <= TOLERANCE
    figures = small.secateur_report.outputs[0].figures
    with torch.no_grad():
        right = small.eval()(data.tensors[0]).argmax(1) == data.tensors[1]
    # The test part is a tenth of these samples: the same network, other samples.
    assert abs(float(right.float().mean()) - figures["test_quality"]) < 0.1
