import onnx
import onnxsim
from common import images
from onnxsim.model_info import ModelInfo

x = images("train")[0][:512].numpy()
data = [{"x": x[i : i + 64]} for i in range(0, 512, 64)]
net = onnxsim.simplify(onnx.load("net.onnx"))[0]
before = ModelInfo(net).macs
low, high = 0.0, 0.95
for _ in range(7):
    sparsity = (low + high) / 2
    small = onnxsim.apply_structured_wanda_pruning(net, calibration_data=data, sparsity=sparsity)
    if ModelInfo(small).macs / before > 0.3:
        low = sparsity
    else:
        high, best = sparsity, small
small = onnxsim.apply_pruning_finetune(net, best, calibration_data=data)
small, _ = onnxsim.apply_block_finetune_all_blocks(
    net, small, calibration_data=data, num_iterations=300, learning_rate=1e-2, batch_size=64
)
onnx.save(small, "small.onnx")
