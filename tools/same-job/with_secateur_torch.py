import secateur.torch
import torch
from common import export, images, train

model = torch.load("net.pt", weights_only=False)
x, y = images("train")
small = secateur.torch.prune(
    model,
    x[:1],
    (x[:4096].numpy(), y[:4096].numpy()),
    train=lambda module, steps: train(module, steps, lr=0.02),
    train_samples=len(x),
    batch_size=128,
    reference_epochs=1,
    normalise="none",
    budget={"macs": 0.3},
)
export(small, "small.onnx")
