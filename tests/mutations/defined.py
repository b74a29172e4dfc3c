"""Bugs in the loops of a user's cell, in what is written down of it, and in the search for its line."""

from __future__ import annotations

from tests import cell_checks as checks

from .mutation import Mutation

LOOPS = "rnn_core.equations.defined:DefinedLoops"
GRADIENTS = checks.defined_gradients

MUTATIONS = (
    Mutation(
        "defined: the rows of W_h are taken from the last", f"{LOOPS}.step",
        "zip(its.from_h, _blocks", "zip(its.from_h[::-1], _blocks", GRADIENTS, ("Strange", "ragged"),
    ),
    Mutation(
        "defined: a gate that both add to gets the state's sum alone", f"{LOOPS}.step",
        "a[name] + part if name in a else part", "part", checks.as_the_built_in_one, ("OwnLSTM",),
    ),
    Mutation(
        "defined: what h gets through W_h is lost", f"{LOOPS}.step_backward",
        "dprev[0] + affine_backward_x(da_h, params.weight_hh, self.q)", "dprev[0]", GRADIENTS, ("OwnGRU", "ragged"),
    ),
    Mutation(
        "defined: what h gets past W_h is lost", f"{LOOPS}.step_backward",
        "dprev[0] + affine_backward_x(da_h, params.weight_hh, self.q)",
        "affine_backward_x(da_h, params.weight_hh, self.q)", GRADIENTS, ("OwnGRU", "ragged"),
    ),
    Mutation(
        "defined: the rows of W_x are in the order of the gates", f"{LOOPS}.step_backward",
        "(its.from_x, its.from_h)", "(sorted(its.from_x), its.from_h)", GRADIENTS, ("Strange", "ragged"),
    ),
    Mutation(
        "defined: the way back reads the states after the step for those before", f"{LOOPS}.backward",
        "[s[t] for s in states], [s[t + 1] for s in states]", "[s[t + 1] for s in states], [s[t + 1] for s in states]",
        GRADIENTS, ("Peephole", "ragged"),
    ),
    Mutation(
        "defined: a vector's gradient counts the padding", f"{LOOPS}.backward",
        "d[t] = ragged.hold(lengths, t, new, 0)", "d[t] = new", GRADIENTS, ("Peephole", "ragged"),
    ),
    Mutation(
        "defined: a vector's gradient is of the first step", f"{LOOPS}._gradients",
        "d.sum(axis=(0, 1))", "d[0].sum(axis=0)", GRADIENTS, ("Independent", "ragged"),
    ),
    Mutation(
        "defined: the gradients of the final states are dropped", f"{LOOPS}.backward",
        "np.zeros_like(s[0]) if d is None else d for s, d", "np.zeros_like(s[0]) for s, d",
        GRADIENTS, ("Strange", "ragged"),
    ),
    Mutation(
        "defined: only the gradient of h comes from outside", f"{LOOPS}.backward",
        "(dy, *(dstates or ())[1:])", "(dy,)", checks.every_state_has_its_gradient, (),
    ),
    Mutation(
        "defined: the states at every step are those before it", f"{LOOPS}.states", "s[1:]", "s[:-1]",
        checks.every_state_has_its_gradient, (),
    ),
    Mutation(
        "defined: a stream stands still", f"{LOOPS}.infer", "[m[t] for m in streams]", "[m[0] for m in streams]",
        checks.streams_come_with_their_steps, (),
    ),
    Mutation(
        "defined: the way back reads another step's mask", f"{LOOPS}.backward", "[m[t] for m in streams]",
        "[m[0] for m in streams]", checks.streams_come_with_their_steps, (),
    ),
    Mutation(
        "defined: a product does not round", f"{LOOPS}.step", "params.bias_hh, self.q)", "params.bias_hh)",
        checks.as_the_built_in_one, ("OwnLSTM",),
    ),
    Mutation(
        "defined: a product within a step does not round", f"{LOOPS}._p", "self.q is exact", "True",
        checks.products_in_a_step_round, (),
    ),
    Mutation(
        "defined: the gradient of a matrix lies across", "rnn_core.equations.across:matrix_gradient", "(d, v, q)",
        "(v, d, q)", GRADIENTS, ("Before", "ragged"),
    ),
    Mutation(
        "defined: the gradient of a matrix is another's", f"{LOOPS}._gradients", "dp[len(vectors) :]",
        "dp[len(vectors) :][::-1]", GRADIENTS, ("Before", "ragged"),
    ),
    Mutation(
        "defined: a head's gradient is the first one's", "rnn_core.layers.defined.heads:blocks", "dW[:, n, :, n]",
        "dW[:, n, :, 0]", GRADIENTS, ("Heads", "ragged"),
    ),
    Mutation(
        "defined: heads change places", "rnn_core.layers.defined.heads:whole", "kept[:, n]", "kept[:, heads - 1 - n]",
        GRADIENTS, ("Heads", "ragged"),
    ),
    Mutation(
        "cell: a number taken from another is taken the wrong way round", "rnn_core.cell.number:Number.__rsub__",
        "(other, self)", "(self, other)", checks.programs_are_the_functions, ("Peephole",),
    ),
    Mutation(
        "cell: of what is left the operands change places", "rnn_core.cell.writing:_pruned",
        "tuple(map(moved, one.operands))", "tuple(map(moved, one.operands[::-1]))", checks.programs_are_the_functions,
        ("Strange",),
    ),
    Mutation(
        "cell: a branch chooses the other side", "rnn_core.cell.operators:where_less", "a, b, x, y)\n", "a, b, y, x)\n",
        checks.steps_are_right, ("OwnReLU",),
    ),
    Mutation(
        "cell: lines behind what is right are suspected", "rnn_core.checking.cells:suspected",
        " - cleared\n    suspects", "\n    suspects", checks.suspects_are_the_lines_behind_it, (),
    ),
)  # fmt: skip
