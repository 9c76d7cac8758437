"""Labelled rows to a trained network.

Rows are split, the network is fitted and judged by rows that it has not seen, and the result goes
to packing.
"""
