"""Fine-tuning by clients that keep their data and share a core."""
