"""The CUDA kernels without a GPU: run thread by thread in Python, in a process of their own (`make test-sim`)."""
