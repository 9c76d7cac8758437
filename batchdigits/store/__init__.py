"""A folder of bundles.

A reference becomes a path to one version, and aliases say which version production means.
"""
