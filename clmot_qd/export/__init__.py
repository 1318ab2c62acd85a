"""Models as ONNX files. Importing this package imports neither torch nor onnx: the runtime side works without them."""
