"""Our kernels inside torch: beside torch's own modules in every option, and in what programs do with modules."""
