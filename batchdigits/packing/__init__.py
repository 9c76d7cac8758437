"""A trained model to the bytes of a bundle, whoever trained it.

The network is compiled to ONNX, proven equal to Keras, and packed with golden rows, the facts of
the manifest and a card.
"""
