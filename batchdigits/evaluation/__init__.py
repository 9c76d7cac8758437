"""Bundles judged against true labels.

Labelled rows are scored and counted batch by batch, and the counts become figures: confusion
matrix, reliability, groups, the comparison of two bundles.
"""
