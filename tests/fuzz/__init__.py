"""Mutated files for everything that reads: no crash, no hang, no hunger, and a message that a person can use.

``python -m tests.fuzz --inputs 100000 --seed 0`` builds valid files by code (`seeds`), damages them (`mutators`), hands
each to a reader (`readers`) in a process with limits (`worker`, `limits`) and judges what comes back (`judge`). An
input is made from (seed, reader, index) alone, so any finding can be made again.
"""
