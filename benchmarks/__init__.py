"""Side by side with torch: ``python -m benchmarks cpu``, ``python -m benchmarks gpu``. Not installed."""
