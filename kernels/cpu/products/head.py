"""A head's loop: a block of rows at a time, from x to the loss, and back to dW, db and dx.

Scores lie class by class. So W is read as it lies, row by row, and never packed: it is the left factor of z = W xᵀ,
whose right one, x of the block, is small, and the right factor of dx = dzᵀ W. What is made of a block's scores stays
in their place: exponentials, then gradients.
"""

from __future__ import annotations

from typing import Any

from numba import carray

from ..emitting.simd import Lanes
from ..emitting.subnormal import leave, make_enter
from ..loops.parts import meet, meet_all
from .gradients import make_gradients, make_input_gradient, make_weight_gradient
from .job import block_of, chunk_of, head_job_at, who_is
from .phases import make_combined, make_panels_of_x, make_round_weights, make_scores


def make_loss(lanes: Lanes) -> Any:
    """Return the loop of a head's loss and of its gradients, uncompiled."""
    panels_of_x, scores = make_panels_of_x(lanes, keep=True), make_scores(lanes, keep=True)
    combined, gradients = make_combined(lanes, keep=True), make_gradients(lanes)
    weight_gradient, input_gradient = make_weight_gradient(lanes), make_input_gradient(lanes)
    round_weights, enter = make_round_weights(lanes), make_enter(lanes)

    def loss(thread, address):
        before = enter()
        job: Any = carray(head_job_at(address), 1)[0]
        who = who_is(job, thread)
        round_weights(job, who)
        for number in range((job.N + job.rows - 1) // job.rows):
            block = block_of(job, number)
            panels_of_x(job, thread, block)
            meet_all(job)
            scores(job, who, block)
            meet_all(job)
            combined(job, thread, block)
            meet_all(job)
            for c in range(who.first, who.last):
                chunk = chunk_of(job, c)
                gradients(job, who, block, chunk)
                meet(job, who.group)
                weight_gradient(job, who, block, chunk)
            meet_all(job)
            if job.dx:
                input_gradient(job, thread, who.scratch, block)
        leave(before)

    return loss


def make_score(lanes: Lanes) -> Any:
    """Return the loop of a head's loss alone, and of what it takes for likeliest, uncompiled."""
    panels_of_x, scores = make_panels_of_x(lanes, keep=False), make_scores(lanes, keep=False)
    combined = make_combined(lanes, keep=False)
    round_weights, enter = make_round_weights(lanes), make_enter(lanes)

    def score(thread, address):
        before = enter()
        job: Any = carray(head_job_at(address), 1)[0]
        who = who_is(job, thread)
        round_weights(job, who)
        for number in range((job.N + job.rows - 1) // job.rows):
            block = block_of(job, number)
            panels_of_x(job, thread, block)
            meet_all(job)
            scores(job, who, block)
            meet_all(job)
            combined(job, thread, block)
        leave(before)

    return score
