"""Plans, and training in stages."""
