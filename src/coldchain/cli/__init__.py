"""The `coldchain` command: one file per command."""
