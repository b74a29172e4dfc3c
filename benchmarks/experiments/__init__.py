"""Known experiments on transfer, run again: what should come out is known, and what comes out is shown beside it."""
