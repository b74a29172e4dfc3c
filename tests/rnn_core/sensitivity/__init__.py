"""Tests of `rnn_core.sensitivity`."""
