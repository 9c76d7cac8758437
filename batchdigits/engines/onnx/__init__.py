"""The default engine.

The graph is searched for anything unsafe, opened in ONNX Runtime with one thread, and run over
blocks of rows that fit the cache.
"""
