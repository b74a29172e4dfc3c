"""Ranks that die, for real: jobs are started, one process of each is killed, and what is left must be whole.

===========  ==========================================================================================================
__main__.py  the command, ``python -m tests.faults --number 200 --seed 0``
plans.py     what is drawn for each kill: task, ranks, sums, who dies and when, and how many ranks go on
job.py       jobs of ranks: started, killed in one of them, watched to their end; and such as stay, for what is resumed
judging.py   what an end must have, and what a resumption must give
work.py      what every rank runs
===========  ==========================================================================================================
"""
