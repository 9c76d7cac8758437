"""Labelled rows to a bundle: data, networks, fitting, evaluation, export."""
