"""CSV.

Bytes are cut into blocks, a block into records and cells, cells become pixels, text or a reason;
the sink writes record batches back as lines.
"""
