"""A cell in one file."""
