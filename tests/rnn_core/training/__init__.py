"""Losses, optimizers, schedules, the loop and its checkpoints."""
