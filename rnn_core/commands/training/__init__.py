"""The run of ``rnn-core train``: from the user's files to a network, its scores and a report."""
