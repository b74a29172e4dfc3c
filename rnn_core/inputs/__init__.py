"""From the files that a user names to what a network reads: their kind, their examples, their encoding, their facts."""
