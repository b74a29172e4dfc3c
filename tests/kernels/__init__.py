"""The backends against the contract, and each for what is its own."""
