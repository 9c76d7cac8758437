"""The pipeline.

An input file goes through source, engine and sink, every row is counted, and the commit publishes
predictions, rejects and a receipt.
"""
