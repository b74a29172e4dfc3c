"""The subcommands of `rnn-core` that belong to this package. Each module is a `rnn_core.cli.Command`."""
