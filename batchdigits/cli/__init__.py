"""What every command shares.

Flags become a namespace, the boundary runs the command and turns every failure into one line and
an exit code; results, logs and the status line go to the terminal.
"""
