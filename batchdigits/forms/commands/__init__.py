"""The subcommands of `forms`, a file each: their flags, and the call that does the work."""
