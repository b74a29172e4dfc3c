"""Hints, hidden sizes and strengths."""
