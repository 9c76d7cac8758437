"""Rows of 64 pixels.

A source reads an input file in blocks, `check` turns each block into rows and rejects, and a sink
writes record batches to an output file. Each file format is a folder, which `formats.py` finds.
"""
