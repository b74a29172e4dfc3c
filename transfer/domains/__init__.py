"""A source with labels, a target without: what trains on both at once, and brings what it sees of them together."""
