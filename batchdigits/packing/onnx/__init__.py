"""A Keras network and its scaler to an ONNX graph, and the proof that both agree.

The graph is tidied, then computed in columns, or in bands of rows where columns can't be had.
"""
