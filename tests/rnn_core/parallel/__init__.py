"""Tests of `rnn_core.parallel`; jobs under a real ``mpiexec`` where mpi4py and an MPI are installed."""
