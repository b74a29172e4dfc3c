"""The CUDA kernels as sources: what can be said of them where there is no GPU."""
