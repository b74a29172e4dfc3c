"""What a run has found, as tables, as plain data and as a picture."""
