"""``rnn-core transfer`` and ``rnn-core predict``: every method of this package on a user's own files."""
