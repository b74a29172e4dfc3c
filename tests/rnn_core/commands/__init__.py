"""The commands, from end to end."""
