"""Tasks whose answers are texts: translation and replies, and a conversation."""
