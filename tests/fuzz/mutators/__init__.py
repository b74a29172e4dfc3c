"""What is done to valid files. A mutator takes a generator and bytes, and returns other bytes."""
