"""Sweeps: the search for the best settings.

A sweep file becomes a plan, each trial is judged by cross-validation, and the ranked result names
the winner.
"""
