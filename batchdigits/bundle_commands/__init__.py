"""The subcommands of `bundles` that are more than a few lines, by theme: flags and printing."""
