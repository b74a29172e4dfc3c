"""Bugs to plant, a file a topic, one at a time: each must be caught by the check that it names."""

from . import (
    cells,
    contextual,
    convolution,
    defined,
    dialogue,
    domains,
    forecasting,
    inside_torch,
    layers,
    regularisers,
    sensitivity,
    seq2seq,
    steps,
    tagging,
    variants,
)
from .mutation import Mutation

MUTATIONS = (
    *cells.MUTATIONS,
    *layers.MUTATIONS,
    *defined.MUTATIONS,
    *steps.MUTATIONS,
    *contextual.MUTATIONS,
    *convolution.MUTATIONS,
    *tagging.MUTATIONS,
    *seq2seq.MUTATIONS,
    *dialogue.MUTATIONS,
    *domains.MUTATIONS,
    *forecasting.MUTATIONS,
    *sensitivity.MUTATIONS,
    *variants.MUTATIONS,
    *regularisers.MUTATIONS,
    *inside_torch.MUTATIONS,
)

__all__ = ["MUTATIONS", "Mutation"]
