"""Pictures to rows: the way that NIST made the digits which the networks learned from.

A crop, or a cell cut from a registered page, is judged (blank, dust, size), becomes ink and paper,
then a bitmap of 32x32 and its 64 counts; the rows are committed as Parquet or CSV with a receipt.
"""
