"""Experiments, run again by name: what should come out is known or published, and what comes out is shown beside it."""
