"""The pipeline from rows to published predictions.

An input file goes through source, engine and sink. Every row is counted, and the commit publishes
predictions, rejects and a receipt.
"""
