"""Programs of torch's with its own recurrent modules, and with ours in their place: loss curves, and whole steps."""
