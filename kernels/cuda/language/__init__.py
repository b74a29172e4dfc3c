"""What kernels are written in: names for the GPU, from numba-cuda or from the simulator, and a cell in those words."""
