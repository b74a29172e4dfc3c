"""What a network can be trained for: the tasks of the commands."""
