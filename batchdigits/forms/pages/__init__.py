"""Pages to rows: a scanned form's fields are found, wiped off their boxes, and cut into cells.

A template says where the fields are; documents give pages, each page is registered to the blank
form, and the rows of its cells are committed with a receipt.
"""
