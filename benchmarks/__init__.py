"""Side by side with torch: ``python -m benchmarks cpu``. Not installed with the package."""
