"""Parquet.

The source reads record batches with bounded memory and checksums verified; the sink gathers
record batches into row groups.
"""
