"""Layers, their errors, and parity with torch."""
