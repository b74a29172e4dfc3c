"""ONNX: what is written beside ONNX Runtime, what is read beside the programs that write it."""
