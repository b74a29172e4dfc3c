"""Several tasks on one core, and learning to learn."""
