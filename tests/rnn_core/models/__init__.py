"""Models: values, gradients, padding, errors, and parity with torch."""
