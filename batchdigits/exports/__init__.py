"""What leaves a bundle for other tools: the ONNX graph, the Keras model, an MLflow model."""
