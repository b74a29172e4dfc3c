"""From layers and models of ours to ONNX files."""
