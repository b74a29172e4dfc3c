"""A target's parameters as a linear map of the source's, of which the map alone is trained."""
