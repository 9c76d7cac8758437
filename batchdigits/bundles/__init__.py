"""The subcommands of `bundles`.

A subcommand takes flags, calls a function of a lower room, and prints the result.
"""
