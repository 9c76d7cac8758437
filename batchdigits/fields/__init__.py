"""Whole fields, such as account numbers, from the predictions of their cells.

Cells flow in the order of the input's rows, the rejected ones among them; neighbours of one group
become a field, which is read, checked against what is allowed, decided, and written.
"""
