"""Code that is written down as instructions, vector by vector: what the time loops are put together from."""
