"""A model that was trained elsewhere, rewritten as a network and a scaler of our own.

Saved files are read as data, rewritten as layers, proven on labelled rows, and go to packing.
"""
