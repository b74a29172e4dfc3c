"""Valid files of every kind, made by code, the same in every run; the readers accept each of them."""
