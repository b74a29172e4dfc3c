"""The libraries that ours is timed beside, where they are installed."""
