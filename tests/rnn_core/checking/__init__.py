"""Every gradient, and the planted bugs that the checks must catch."""
