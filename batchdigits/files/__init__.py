"""Files on the local disk, as names and bytes.

An argument becomes input files, their first bytes are checked, streams read and write them, and
the commit gives finished outputs their final names.
"""
