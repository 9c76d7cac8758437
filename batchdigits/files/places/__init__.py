"""Where outputs go: one contract, one module for each kind of place.

An input file's outputs are held under a lock, written as temporaries, and published together.
"""
