import torch
import torch_pruning as tp
from common import export, train

model = torch.load("net.pt", weights_only=False)
example = torch.zeros(1, 1, 28, 28)
before = tp.utils.count_ops_and_params(model, example)[0]
pruner = tp.pruner.MagnitudePruner(
    model,
    example,
    importance=tp.importance.GroupMagnitudeImportance(p=2),
    global_pruning=True,
    pruning_ratio=0.9,
    max_pruning_ratio=0.9,
    iterative_steps=100,
    ignored_layers=[model.head],
)
while tp.utils.count_ops_and_params(model, example)[0] > 0.3 * before:
    pruner.step()
train(model, steps=300, lr=0.02)
export(model, "small.onnx")
