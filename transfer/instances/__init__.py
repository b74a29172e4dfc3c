"""Examples of the source among those of the target: weighted, boosted, or moved to where the target's lie."""
