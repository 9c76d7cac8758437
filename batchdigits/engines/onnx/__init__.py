"""The default engine.

The graph is searched for anything unsafe, then opened in ONNX Runtime with one thread, then run
over blocks of rows that fit the cache.
"""
