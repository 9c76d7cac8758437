"""Files on the local disk, as names and bytes.

Arguments become input files, whose first bytes are checked; streams read and write bytes; the
commit gives finished outputs their final names. `names.py` holds the table of formats.
"""
