"""The recurrent layers on the CPU beside torch's: ``python -m benchmarks cpu``."""
