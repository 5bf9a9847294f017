"""What an exported ONNX file costs, from its own graph."""
