//! secateur-onnx
