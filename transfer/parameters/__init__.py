"""Parameters by name: groups and patterns, what a parameter may take, and copying from one model into another."""
