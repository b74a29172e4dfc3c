"""Comparisons, studies, and the methods that stand in them."""
