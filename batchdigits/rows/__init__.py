"""Rows of 64 pixels.

A source reads an input file in blocks, checks turn each block into rows and rejects, and a sink
writes what became of them; each file format is one folder.
"""
