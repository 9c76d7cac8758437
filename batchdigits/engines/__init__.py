"""Pixels to probabilities.

A checked bundle becomes an engine, and its golden rows are replayed before it scores anything.
"""
