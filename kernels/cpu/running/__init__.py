"""What a call needs besides its loop: machine code, threads, memory, the rows that still run, packed weights."""
