"""What a network can be trained for from the command line: a task a file, each as `Task` wants it."""
