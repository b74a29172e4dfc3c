"""What X, y and weights may be, and what they become."""
