"""The cells of rnn_core.variants."""
