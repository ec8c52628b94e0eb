"""The models of the table: names, how to build them, and their export."""
import pathlib

import torch
import torchvision
from torch import nn
from torchvision.models import get_model, list_models
from torchvision.models import segmentation
from torchvision.models.convnext import CNBlock

import nets
import timm_nets

OPSET = 18
OPSETS = {"deformable": 19}

OWN = {
    "resnet20": (nets.ResNet20, 32),
    "mobilenet_v2_32": (nets.mobilenet_v2_32, 32),
    "unet": (nets.UNet, 96),
    "yolo": (nets.Yolo, 160),
    "unet_padded": (nets.PaddedUNet, (3, 100, 84)),
    "crnn_lstm": (nets.CRNN, (3, 32, 96)),
    "crnn_gru": (lambda: nets.CRNN(nn.GRU), (3, 32, 96)),
    "style_transfer": (nets.Style, 64),
    "spatial_transformer": (nets.SpatialTransformer, 32),
    "warped": (nets.Warped, 32),
    "deformable": (nets.Deformable, 32),
    "standardised_resnet20": (nets.standardised_resnet20, 32),
    "branching": (nets.Branching, 32),
}

# Nets that end where channels are mixed (CBAM, ECA, norms over channels): also with `--allow-mixing`.
MIXING = ["convnext_tiny", "vit_b_32", "timm:resnet18+cbam", "timm:eca_resnet33ts", "timm:convnextv2_atto"]

# Their branches are only in a file if they are scripted: `files.JOBS` has them.
SCRIPTED = ["branching"]

# With heads that suppress boxes: they end in data-dependent shapes.
DETECTORS = [
    "ssd300_vgg16",
    "ssdlite320_mobilenet_v3_large",
    "retinanet_resnet50_fpn",
    "fcos_resnet50_fpn",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
    "keypointrcnn_resnet50_fpn",
]

# The convolutional parts of these detectors alone.
BACKBONES = {
    "ssd300_vgg16:backbone": 300,
    "retinanet_resnet50_fpn:backbone": 224,
    "keypointrcnn_resnet50_fpn:backbone": 224,
    "fasterrcnn_mobilenet_v3_large_fpn:backbone": 224,
}

# The largest last, the small ones first: a broken rule shows early.
LARGE = ["vit_l_16", "vit_l_32", "regnet_y_128gf", "vit_h_14"]


# One of each family: a broken rule shows early.
FIRST = (
    "resnet20 mobilenet_v2_32 unet yolo squeezenet1_1 shufflenet_v2_x1_0 resnet18 mobilenet_v3_small "
    "efficientnet_b0 regnet_y_400mf densenet121 googlenet inception_v3 convnext_tiny mnasnet1_0 resnet50 "
    "resnext50_32x4d wide_resnet50_2 regnet_x_400mf alexnet vgg11_bn vgg16 vit_b_32 swin_t swin_v2_t maxvit_t "
    "lraspp_mobilenet_v3_large fcn_resnet50 deeplabv3_resnet50 efficientnet_v2_s mobilenet_v2"
).split()


def names():
    rest = [n for n in list_models(torchvision.models) if n not in LARGE and not n.startswith("quantized_")]
    rest += [*(n for n in OWN if n not in SCRIPTED), *list_models(segmentation), *BACKBONES, *DETECTORS]
    return FIRST + [n for n in rest if n not in FIRST] + LARGE


def jobs():
    """Every row: a model, and how its file is made."""
    import files
    import packages

    found = [(name, kind) for name in packaged_names() for kind in ("file", "filled")]
    for name in names():
        found += [(name, "torchscript"), (name, "dynamo"), (name, "torch-pruning")]
    for name in timm_nets.names():
        found += [(name, "torchscript"), (name, "dynamo")]
    found += [(name, "torchscript+mixing") for name in MIXING]
    return found + files.JOBS + [(name, "package") for name in packages.names()]


def packaged_names():
    """The models that the Python package `onnx` ships, without their weights' values."""
    return sorted(p.name for p in light_folder().glob("*.onnx"))


def light_folder():
    import onnx

    return pathlib.Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def packaged(name):
    return light_folder() / name


def fill(name, path):
    """Writes a packaged model with random weights in place of its `ConstantOfShape` nodes."""
    import numpy
    import onnx

    model = onnx.load(packaged(name))
    # Before version 4 every initialiser had to be an input too.
    model.ir_version = max(model.ir_version, 4)
    graph = model.graph
    stored = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
    rng = numpy.random.default_rng(0)
    nodes = []
    for node in graph.node:
        if node.op_type != "ConstantOfShape" or node.input[0] not in stored:
            nodes.append(node)
            continue
        shape = stored[node.input[0]]
        fan_in = max(1, int(numpy.prod(shape[1:])))
        # Deviations of norms are among them: nothing negative in vectors.
        values = rng.standard_normal(shape) * (2 / fan_in) ** 0.5 if len(shape) > 1 else rng.uniform(0.5, 1.5, shape)
        graph.initializer.append(onnx.numpy_helper.from_array(values.astype(numpy.float32), node.output[0]))
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.save(model, path)


class OutOnly(nn.Module):
    """The result `out` of a segmentation net, all levels of a backbone as a tuple."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        y = self.inner(x)
        if isinstance(y, dict):
            return y["out"] if "out" in y else tuple(y.values())
        return y[0] if isinstance(y, (list, tuple)) and not torch.is_tensor(y[0]) else y


def build(name):
    """The network in inference mode with random weights, and an input."""
    torch.manual_seed(0)
    if name in OWN:
        make, size = OWN[name]
        model = make()
    elif name.startswith("timm:"):
        model, size = timm_nets.build(name)
    elif ":" in name:
        model = OutOnly(get_model(name.split(":")[0], weights=None, weights_backbone=None).backbone)
        size = BACKBONES[name]
    elif name in list_models(segmentation):
        model, size = OutOnly(get_model(name, weights=None, weights_backbone=None)), 224
    elif name in DETECTORS:
        model, size = get_model(name, weights=None, weights_backbone=None), 320
    else:
        extra = {"aux_logits": False} if name in ("googlenet", "inception_v3") else {}
        if extra:
            extra["init_weights"] = False
        model = get_model(name, weights=None, **extra)
        size = 299 if name == "inception_v3" else 224
    model.eval()
    vary_norms(model)
    size = size if isinstance(size, tuple) else (3, size, size)
    return model, torch.randn(1 if name in DETECTORS else 2, *size)


def vary_norms(model):
    """Norms of new networks are all alike, and some last layers zero: a slip of channels would not show."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.running_mean.uniform_(-0.2, 0.2)
                module.running_var.uniform_(0.6, 1.6)
                if module.affine:
                    module.weight.uniform_(0.6, 1.4)
                    module.bias.uniform_(-0.3, 0.3)
            # Vision transformers begin with a last layer of zeros.
            if isinstance(module, nn.Linear) and not module.weight.any():
                nn.init.trunc_normal_(module.weight, std=module.in_features**-0.5)
            # ConvNeXt begins with blocks scaled by 1e-6: their outputs would not show.
            if isinstance(module, CNBlock):
                module.layer_scale.uniform_(0.5, 1.5)


def export(name, exporter, path):
    """Writes the model; returns the shape of its input."""
    model, x = build(name)
    detector = name in DETECTORS
    args = ([x[0]],) if detector else (x,)
    common = dict(opset_version=OPSETS.get(name, OPSET))
    if exporter == "torchscript":
        torch.onnx.export(
            model,
            args,
            str(path),
            dynamo=False,
            input_names=["input"],
            dynamic_axes=None if detector else {"input": {0: "batch"}},
            **common,
        )
    else:
        # The newer exporter specialises a batch of one; detectors take fixed images.
        dynamic = None if detector else ({0: torch.export.Dim("batch")},)
        torch.onnx.export(model, args, str(path), dynamo=True, dynamic_shapes=dynamic, verbose=False, **common)
    return list(x.shape)
