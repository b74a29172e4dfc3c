"""Independent tasks spread over processes, and over hosts: our own processes, any joblib backend, or Dask."""
