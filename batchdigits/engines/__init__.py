"""What turns pixels into probabilities: ONNX Runtime, and Keras as the reference."""
