"""Experiments of which it is known what should come out: adding, sines, digits and characters."""
