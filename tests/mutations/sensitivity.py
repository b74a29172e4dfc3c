"""Bugs in products with second derivatives, in tangents, in norms of single examples, and in Jacobians of states."""

from __future__ import annotations

from tests import sensitivity_checks as checks

from .mutation import Mutation

ROOM = "rnn_core.sensitivity"

MUTATIONS = (
    Mutation(
        "sensitivity: a padding row takes the step", f"{ROOM}.stepping:stepped", "    hold_paddings(target, twin)\n",
        "", checks.hessian_is_symmetric, ("tagger",),
    ),
    Mutation(
        "sensitivity: the Hessian's product is of the gradient's real part", f"{ROOM}.curvature:hessian_times",
        "dense(found[name]).imag / EPSILON", "dense(found[name]).real", checks.hessian_by_differences, ("lstm",),
    ),
    Mutation(
        "sensitivity: Gauss-Newton leaves the loss's curvature out", f"{ROOM}.curvature:gauss_newton_product",
        "dz.imag / EPSILON", "dz.real", checks.gauss_newton_by_its_definition, ("gru",),
    ),
    Mutation(
        "sensitivity: Gauss-Newton is the whole Hessian", f"{ROOM}.curvature:gauss_newton_product",
        "found = outputs.backward(w)",
        "found = outputs.backward({name: -1j * dz / EPSILON for name, dz in outputs.doutputs.items()})",
        checks.gauss_newton_by_its_definition, ("rnn",),
    ),
    Mutation(
        "sensitivity: the initial state does not move", f"{ROOM}.tangents:_moved_part",
        "return s + step(where, name, ds, np.shape(s))", "return s", checks.tangents_meet_the_backward, ("lstm",),
    ),
    Mutation(
        "sensitivity: pairs of different steps are left out", f"{ROOM}.norms:of_products",
        "alike.sum(axis=(1, 2))", "alike.trace(axis1=1, axis2=2)", checks.norms_are_those_of_batches_of_one, ("wide",),
    ),
    Mutation(
        "sensitivity: a token met twice has two rows", f"{ROOM}.norms:of_embedding",
        "np.add.reduceat(np.asarray(de, np.float64)[order], starts, axis=0)", "np.asarray(de, np.float64)[order]",
        checks.norms_are_those_of_batches_of_one, ("language",),
    ),
    Mutation(
        "sensitivity: the padding's row has a gradient", f"{ROOM}.walk:_met", "if padding is None:", "if True:",
        checks.norms_of_each_parameter, ("tagger",),
    ),
    Mutation(
        "sensitivity: both uses of a tied matrix are taken for two", f"{ROOM}.walk:walked",
        "2 * norms.between_tied", "0 * norms.between_tied", checks.norms_are_those_of_batches_of_one, ("tied",),
    ),
    Mutation(
        "sensitivity: a GRU's reset gate is forgotten", f"{ROOM}.recording:of_the_state",
        "delta[..., block.n] *= sigmoid(a_r)", "pass", checks.norms_are_those_of_batches_of_one, ("gru",),
    ),
    Mutation(
        "sensitivity: the gradient of W_h meets the state behind its step", f"{ROOM}.recording:Recording.forward",
        "np.concatenate([np.asarray(state0[0])[None], y[:-1]])", "y", checks.norms_are_those_of_batches_of_one,
        ("rnn",),
    ),
    Mutation(
        "sensitivity: an example counts by its number of targets", f"{ROOM}.examples:_clipped_together",
        "clip / np.where(found.counts > 0, found.counts, 1)", "clip", checks.clipped_sum_is_the_loops, ("language",),
    ),
    Mutation(
        "sensitivity: a mean of clipped gradients is not made a sum", f"{ROOM}.examples:_clipped_together",
        "step.count * g", "g", checks.clipped_sum_is_the_loops, ("lstm",),
    ),
    Mutation(
        "sensitivity: the second walk draws its own masks", f"{ROOM}.examples:_clipped_together",
        "needs=needs, rng=seed", "needs=needs, rng=seed + 1", checks.an_example_is_as_long_as_it_may_be,
        ("tied, dropout",),
    ),
    Mutation(
        "sensitivity: dropout is not walked back through", f"{ROOM}.walk:walked",
        "shadow.dropout.backward(tape.dropout_out, dp)", "dp", checks.an_example_is_as_long_as_it_may_be,
        ("tied, dropout",),
    ),
    Mutation(
        "sensitivity: states are met in the order of time", f"{ROOM}.jacobians:state_jacobian_singular_values",
        "before[::-1]", "before", checks.jacobian_by_differences, ("lstm",),
    ),
    Mutation(
        "sensitivity: a Jacobian of all steps, whatever t", f"{ROOM}.jacobians:state_jacobian", "line.x[t:T]",
        "line.x[:T]", checks.jacobian_by_differences, ("gru",),
    ),
)  # fmt: skip
