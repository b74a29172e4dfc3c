"""One core for several tasks, at once (multi-task) or one after the other (meta-learning)."""
