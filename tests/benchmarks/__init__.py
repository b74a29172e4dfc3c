"""The benchmarks and experiments, as programs that must run."""
