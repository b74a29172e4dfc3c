"""Experiments on sounds: how they are made, and what a text has to do with them."""
