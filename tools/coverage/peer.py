"""Takes one model through Torch-Pruning at the same ratio. Settings are those of its own test of the torchvision models
(tests/test_torchvision_models.py): magnitudes, half of the channels, last layers ignored.
"""
import time

import torch
from torch import nn

import zoo


def first(y):
    while not torch.is_tensor(y):
        y = next(iter(y.values() if isinstance(y, dict) else y))
    return y


def prune(name):
    """Half of the channels of a model; what came of it, as a line of the results."""
    line = {"model": name, "exporter": "torch-pruning", "step": "build"}
    try:
        import torch_pruning as tp
        from torchvision.models.convnext import CNBlock
        from torchvision.models.swin_transformer import ShiftedWindowAttention
        from torchvision.models.vision_transformer import VisionTransformer

        model, x = zoo.build(name)
        x = [x[0]] if name in zoo.DETECTORS else x[:1]
        expected = first(model(x)).shape
        line["step"] = "prune"
        line["before"] = {"params": sum(p.numel() for p in model.parameters())}
        last = {1000, 10}
        ignored = [m for m in model.modules() if isinstance(m, nn.Linear) and m.out_features in last]
        ignored += [m for m in model.modules() if isinstance(m, nn.modules.linear.NonDynamicallyQuantizableLinear)]
        # Outputs that are convolutions: those of the segmentation nets and of ours.
        if name in zoo.OWN or isinstance(model, zoo.OutOnly) or "squeezenet" in name:
            outputs = {21, 4, 80, 64, 1000}
            heads = {"head", "dfl", "classifier", "4", "2", "boxes", "classes"}
            for path, module in model.named_modules():
                leaf = isinstance(module, nn.Conv2d) and module.out_channels in outputs and module.bias is not None
                if leaf and (set(path.split(".")) & heads):
                    ignored.append(module)
            ignored += [m for m in [getattr(model, "dfl", None)] if m is not None]
        options = {}
        if isinstance(model, VisionTransformer):
            options["round_to"] = model.encoder.layers[0].num_heads
            options["unwrapped_parameters"] = [(model.class_token, 2), (model.encoder.pos_embedding, 2)]
        layer_scales = [(m.layer_scale, 0) for m in model.modules() if isinstance(m, CNBlock)]
        if layer_scales:
            options["unwrapped_parameters"] = layer_scales
        started = time.monotonic()
        pruner = tp.pruner.MagnitudePruner(
            model,
            example_inputs=x,
            importance=tp.importance.MagnitudeImportance(p=1),
            pruning_ratio=0.5,
            ignored_layers=ignored,
            **options,
        )
        pruner.step()
        line["seconds"] = {"all": time.monotonic() - started}
        line["after"] = {"params": sum(p.numel() for p in model.parameters())}
        line["step"] = "run"
        if isinstance(model, VisionTransformer):
            # Its own test does so: the reshape there holds a static width.
            model.hidden_dim = model.conv_proj.out_channels
        with torch.no_grad():
            found = first(model(x)).shape
        line["step"] = "compare"
        if name not in zoo.DETECTORS and found != expected:
            raise RuntimeError(f"expected an output of {tuple(expected)}, got {tuple(found)}")
        line["step"] = "count"
        if line["after"]["params"] == line["before"]["params"]:
            raise RuntimeError("nothing was pruned")
        line["step"], line["ok"] = "done", True
    except Exception as error:
        line["ok"] = False
        line["error"] = f"{type(error).__name__}: {error}"[:600]
    return line
