"""Forecasts of series that statsmodels brings: beside its exponential smoothing, and carried over to a short one."""
