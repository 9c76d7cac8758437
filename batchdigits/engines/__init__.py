"""Pixels to probabilities.

A checked bundle becomes an engine whose golden rows were replayed before it scores anything.
"""
