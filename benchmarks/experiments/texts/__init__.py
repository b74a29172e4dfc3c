"""Real tasks on pairs of texts: translation of messages, and replies in dialogues."""
