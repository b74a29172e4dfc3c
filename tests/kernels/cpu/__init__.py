"""The CPU kernels beside the contract: widths, threads, packing, what is kept on disk."""
