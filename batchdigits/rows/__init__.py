"""Rows of 64 pixels: found by name, read from CSV, Parquet and Arrow, checked, and written."""
