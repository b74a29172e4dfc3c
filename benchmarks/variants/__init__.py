"""What a variant's training step costs: beside the plain cell's, and beside the same cell as a loop in torch."""
