"""What is read from a user's files, and how it becomes what a network reads."""
