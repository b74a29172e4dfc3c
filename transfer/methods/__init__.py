"""Every method of this package as an arm of a comparison, on the same data and the same budget."""
