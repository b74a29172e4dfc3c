"""The benchmark on the CPU: how times are taken, what a case needs, what is compared and written."""
