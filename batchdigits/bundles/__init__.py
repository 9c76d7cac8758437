"""The subcommands of `bundles`, one file each.

Flags come in, one function of a lower room does the work, the result is printed.
"""
