"""`rnn-core transfer` and `rnn-core predict` on files."""
