"""Tests of `rnn_core.study`."""
