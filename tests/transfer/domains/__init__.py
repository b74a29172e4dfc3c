"""A source with labels, a target without."""
