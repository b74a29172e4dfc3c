"""Tokens, batches, and files as people have them."""
