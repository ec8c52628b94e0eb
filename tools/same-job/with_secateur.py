import secateur
from common import MNIST

report = secateur.prune("net.onnx", MNIST, budget={"macs": 0.3})
report.outputs[0].save("small.onnx")
