"""Holds a cut network against the original with the consumers' weights set to zero."""
import gc

import numpy
import onnx
import onnxruntime

TYPES = {"tensor(float)": numpy.float32, "tensor(double)": numpy.float64, "tensor(float16)": numpy.float16}
INTEGERS = {f"tensor({sign}int{bits})": numpy.dtype(f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)}


def same_message(path, copy):
    """Compares two files field by field, with tensors beside them."""
    one, other = onnx.load(path), onnx.load(copy)
    tensors = [list(onnx.external_data_helper._get_all_tensors(model)) for model in (one, other)]
    if len(tensors[0]) != len(tensors[1]):
        return False
    # Their bytes on their own: a message holds 2 GiB, a model may be larger.
    for a, b in zip(*tensors):
        if a.raw_data != b.raw_data:
            return False
    for tensor in [*tensors[0], *tensors[1]]:
        tensor.ClearField("raw_data")
        del tensor.external_data[:]
        tensor.ClearField("data_location")
    # Fields that this version of onnx does not know are in the bytes too.
    return one.SerializeToString(deterministic=True) == other.SerializeToString(deterministic=True)


def values(rng, kind, shape):
    """Random numbers of a type: images, integers of a byte, yes and no."""
    if kind in TYPES:
        return numpy.asarray(rng.standard_normal(shape), dtype=TYPES[kind])
    if kind == "tensor(bool)":
        return rng.integers(0, 2, shape).astype(bool)
    return rng.integers(0, 256 if "int8" not in kind else 100, shape).astype(INTEGERS[kind])


def feeds(session, seed, extents, given):
    """Random inputs of every type. `given` holds shapes (tuples) or the values themselves, by
    name; other open extents are taken from `extents`, by axis."""
    rng = numpy.random.default_rng(seed)
    made = {}
    for entry in session.get_inputs():
        wanted = given.get(entry.name)
        if wanted is not None and not isinstance(wanted, tuple):
            made[entry.name] = numpy.asarray(wanted, {**TYPES, **INTEGERS}[entry.type])
            continue
        shape = wanted or [d if isinstance(d, int) else extents[axis] for axis, d in enumerate(entry.shape)]
        made[entry.name] = values(rng, entry.type, shape)
    return made


def run(path, inputs=None, extents=(2, 3, 8, 8), given=None):
    """Inputs and outputs of a file under onnxruntime."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    # Rewriting changes the order of sums, and no more is to be compared.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    inputs = inputs or feeds(session, 7, extents, given or {})
    outputs = [numpy.asarray(value, dtype=numpy.float64) for value in session.run(None, inputs)]
    del session
    gc.collect()
    return inputs, outputs


def difference(one, other):
    """Largest difference relative to the largest output; None if shapes differ."""
    worst = 0.0
    for a, b in zip(one, other, strict=True):
        if a.shape != b.shape:
            return None
        if a.size:
            assert numpy.isfinite(a).all(), "an output is not finite"
            worst = max(worst, float(numpy.abs(a - b).max() / max(numpy.abs(a).max(), 1e-30)))
    return worst
