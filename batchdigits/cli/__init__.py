"""The part that all commands share.

Flags become a namespace. The boundary runs the command and turns every failure into one line and
an exit code. Results go to standard output, messages and the status line to standard error.
"""
