"""Tasks on processes, joblib's backends and a cluster of Dask."""
