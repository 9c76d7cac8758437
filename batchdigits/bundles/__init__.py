"""The subcommands of `bundles`, one file each.

A subcommand takes flags, calls a function of a lower room, and prints the result.
"""
