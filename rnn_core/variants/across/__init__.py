"""Variants whose step looks at all units of a row: means for layer normalisation, and a second product."""
