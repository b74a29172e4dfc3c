"""The recurrent core as backends: arrays in, arrays out, one contract (see `kernels.contract`)."""
