"""How much of the time on the network is hidden behind the backward, on a network that is slowed on purpose.

===========  ==========================================================================================================
__main__.py  the command: cases, tables, results
work.py      what a rank does: training steps, with gradients sent as they are final and after the backward
network.py   a slow network in the place of this host's memory
progress.py  who moves messages on while something is computed
timeline.py  when each part was computed and each bucket was on its way, as a chart; the share that is hidden
===========  ==========================================================================================================
"""
