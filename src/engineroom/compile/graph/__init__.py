"""From the module to the ONNX graph that every target compiles."""
