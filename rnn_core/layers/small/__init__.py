"""Small calls: inference of some kilobytes, for which the ordinary way would cost more than the work."""
