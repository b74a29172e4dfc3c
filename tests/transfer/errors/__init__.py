"""Bad input: one line that says what is wrong and where, and nothing is overwritten, no parameter and no file."""
