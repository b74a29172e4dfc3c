"""What is measured of a layer: times beside torch's, errors, memory, what freezing saves."""
