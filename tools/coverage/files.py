"""Other kinds of files of known networks: what people bring who did not export just now."""
import numpy
import onnx
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

import zoo

JOBS = [
    ("resnet18", "fixed-batch"),
    ("mobilenet_v3_small", "fixed-batch"),
    ("resnet18", "f16"),
    ("mobilenet_v2", "f16"),
    ("resnet18", "qdq"),
    ("mobilenet_v2", "qdq"),
    ("resnet18", "qoperator"),
    ("mobilenet_v2", "qoperator"),
    ("resnet18", "dynamic-int8"),
    ("vit_b_32", "dynamic-int8"),
    ("resnet18", "ort-optimised"),
    ("efficientnet_b0", "ort-optimised"),
    ("vit_b_32", "ort-optimised"),
    ("branching", "scripted"),
]

# Where activations are rounded to 8 bits: two steps of 127. Sixteen bits: rounding of some fifty nodes.
TOLERANCES = {"qdq": 2 / 127, "qoperator": 2 / 127, "dynamic-int8": 2 / 127, "f16": 1e-2}


class Images(CalibrationDataReader):
    """A few made-up images, from which onnxruntime takes the ranges of values."""

    def __init__(self, shape, count=3):
        rng = numpy.random.default_rng(3)
        self.left = [rng.standard_normal(shape).astype(numpy.float32) for _ in range(count)]

    def get_next(self):
        return {"input": self.left.pop()} if self.left else None


def static(plain, path, shape, form):
    quant_pre_process(str(plain), str(plain), skip_symbolic_shape=True)
    quantize_static(str(plain), str(path), Images(shape), quant_format=form, per_channel=True)


def half(plain, path):
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(plain)), path)


def optimised(plain, path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(path)
    onnxruntime.InferenceSession(str(plain), options, providers=["CPUExecutionProvider"])


def export_as_is(name, path, scripted=False):
    """Without open axes; scripted, so that branches stay branches."""
    model, x = zoo.build(name)
    if scripted:
        model = torch.jit.script(model)
    torch.onnx.export(model, (x,), str(path), dynamo=False, input_names=["input"], opset_version=zoo.OPSET)
    return list(x.shape)


def write(name, kind, path):
    """Writes the file; returns the shape of its input."""
    if kind in ("fixed-batch", "scripted"):
        return export_as_is(name, path, kind == "scripted")
    plain = path.with_name("plain.onnx")
    shape = zoo.export(name, "torchscript", plain)
    if kind == "f16":
        half(plain, path)
    elif kind == "qdq":
        static(plain, path, shape, QuantFormat.QDQ)
    elif kind == "qoperator":
        static(plain, path, shape, QuantFormat.QOperator)
    elif kind == "dynamic-int8":
        quantize_dynamic(str(plain), str(path))
    else:
        optimised(plain, path)
    plain.unlink()
    return shape
