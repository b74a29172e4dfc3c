"""What training needs to go on as if it had never stopped: one safetensors file, and the proof that it belongs here.

A folder of checkpoints holds two files, each written whole or not at all:

===================  ================================================================================================
last.safetensors     to resume from: parameters, the optimizer's state, the state carried from batch to batch, the best
                     parameters so far, the history, and a fingerprint of the run
best.safetensors     the model as it was at its best epoch, for `rnn_core.load`
===================  ================================================================================================

`contents` has the file, `folder` what is there before a run, `fingerprint` that proof, and `fitting` what must fit
besides.
"""

from .contents import BEST, LAST, Checkpoint, Position, Sums, read_facts
from .fingerprint import differences, fingerprint
from .fitting import check_run

__all__ = [
    "BEST",
    "LAST",
    "Checkpoint",
    "Position",
    "Sums",
    "check_run",
    "differences",
    "fingerprint",
    "read_facts",
]
