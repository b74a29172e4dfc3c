"""From ONNX files to layers of ours: values on a graph's edges, operators over them, and the stages that are found."""
