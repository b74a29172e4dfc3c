"""The experiments that there are: a row each, in the order in which they run.

A module that is named here imports what the extra ``data`` brings only where it runs, and says in `Experiment.packages`
what that is.
"""

from __future__ import annotations

from . import contextual, highlighting, pronunciation, sequences
from .frame import Experiment
from .known import adding, characters, convolutions, digits, sines, unlabelled
from .series import carried, forecasts
from .sounds import audio
from .texts import replies, translation

ROWS = (
    adding.EXPERIMENT,
    sines.EXPERIMENT,
    digits.NEW_CLASSES,
    digits.ANOTHER_SCANNER,
    unlabelled.EXPERIMENT,
    convolutions.EXPERIMENT,
    characters.EXPERIMENT,
    audio.EXPERIMENT,
    sequences.EXPERIMENT,
    pronunciation.EXPERIMENT,
    highlighting.EXPERIMENT,
    translation.EXPERIMENT,
    replies.EXPERIMENT,
    contextual.EXPERIMENT,
    forecasts.EXPERIMENT,
    carried.EXPERIMENT,
)

EXPERIMENTS: dict[str, Experiment] = {experiment.name: experiment for experiment in ROWS}
"""By name."""
