"""Bundles judged by labelled rows.

Rows are read with their labels, scored and counted batch by batch; the counts become figures:
confusion matrix, reliability, groups, and the comparison of two bundles.
"""
