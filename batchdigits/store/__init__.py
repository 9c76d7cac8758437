"""A folder of bundles.

A reference such as `digits@production` becomes the path of one version: an alias points at it.
"""
