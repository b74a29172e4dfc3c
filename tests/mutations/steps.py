"""Bugs around the compiled loops, in optimizers and clipping, and in products that round.

What is compiled is left alone: its machine code is kept, and a bug in its source might never run. These stand where
arguments are handed to a loop, and where its results are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from rnn_core.training import SGD, Adam, AdamW
from tests import checks, step_checks
from tests.kernels.cpu import test_bfloat16, test_updates
from tests.rnn_core.equations import test_quantized
from tests.rnn_core.layers import test_precision
from tests.rnn_core.training import test_optimizers

from .mutation import Mutation

CALLS, HEAD = "kernels.cpu.products.calls", "rnn_core.training.losses.head"
OPTIMIZERS, CLIPPING = "rnn_core.training.optimizers", "rnn_core.training.clipping"
AFFINE, QUANTIZED = "rnn_core.equations.affine", "rnn_core.equations.quantized"
TABLE = (9, 4)
"""A parameter of which some rows have a gradient."""


def bug(
    name: str, target: str, old: str, new: str, check: Callable[..., None], *arguments: Any, times: int = 1
) -> Mutation:
    """Return a bug."""
    return Mutation(name, target, old, new, check, arguments, times)


def _handed_to_optimizers() -> Iterator[Mutation]:
    """What a step's table says: numbers, and whether a row without a gradient may be passed over."""
    steps, rows = test_updates.test_steps_have_numpys_bits, test_updates.test_rows_step_as_a_dense_gradient_does
    alone = test_updates.test_without_epsilon_no_row_is_passed_over
    adam, adamw = Adam(0.1, betas=(0.5, 0.5), eps=0.1, weight_decay=0.3), AdamW(0.1)
    sgd, moving = SGD(0.1, weight_decay=0.3), SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.3)
    for name, optimizer in (("adam", adam), ("sgd", sgd)):
        part = f"kernels.cpu.updates.{name}:_part"
        scale, decay = ("step.scale, ", "step.decay,") if name == "adam" else ("scale=step.scale", "decay=step.decay")
        yield bug(f"{name} in one pass: gradients are not scaled", part, scale, scale.replace("step.scale", "1.0"),
                  steps, optimizer, "float64")  # fmt: skip
        yield bug(f"{name} in one pass: weights do not decay", part, decay, decay.replace("step.decay", "0.0"),
                  steps, optimizer, "float32")  # fmt: skip
        yield bug(f"{name} in one pass: rows that decay are passed over", part, "step.decay == 0", "True",
                  rows, optimizer, "float64", TABLE)  # fmt: skip
    part = "kernels.cpu.updates.adam:_part"
    yield bug("adam in one pass: rows are passed over without an ε", part, "step.eps > TINY", "True",
              alone, "float32")  # fmt: skip
    yield bug("adamw in one pass: rows that decay are passed over", part, "step.keep == 1", "True",
              rows, adamw, "float32", TABLE)  # fmt: skip
    yield bug("adamw in one pass: θ does not decay", part, "step.keep,", "1.0,", steps, adamw, "float64")
    yield bug("adam in one pass: the moments' rests change places", part, "1 - step.beta1", "1 - step.beta2",
              steps, adamw, "float64")  # fmt: skip
    yield bug("adam in one pass: ε is left out", part, "step.eps, ", "0.0, ", steps, adam, "float64")
    yield bug("adam in one pass: the moments change places", part, "step.m, step.v", "step.v, step.m",
              steps, adamw, "float64")  # fmt: skip
    part = "kernels.cpu.updates.sgd:_part"
    yield bug("sgd in one pass: momentum is forgotten", part, "step.momentum", "0.0", steps, moving, "float64")
    yield bug("sgd in one pass: Nesterov's step is not taken", part, "float(step.nesterov)", "0.0",
              steps, moving, "float64")  # fmt: skip
    table, turns = "kernels.cpu.updates.table", test_updates.test_parts_step_together_if_nothing_is_shared
    yield bug("in one pass: who reads what another writes does not wait", f"{table}:in_turn", "any(", "False and any(",
              turns, "the other's parameter for a gradient")  # fmt: skip
    yield bug("in one pass: two names for one array step at once", f"{table}:_written", "begin < end for",
              "begin < 0 for", turns, "two names")  # fmt: skip
    yield bug("in one pass: the end of an array is taken for its beginning", f"{table}:_written",
              "(at, at + size * width)", "(at, at + width)", turns, "the last number")  # fmt: skip
    yield bug("in one pass: a gradient's end is not looked at", f"{table}:_reads", "part.g + size * width",
              "part.g + 1", turns, "rows into a moment")  # fmt: skip


def _optimizers() -> Iterator[Mutation]:
    """Bias corrections, decay, and the scale of gradients."""
    begin, hand = f"{OPTIMIZERS}.adam:Adam._begin", checks.optimizers_by_hand
    yield bug("adam: the first moment's correction is missing", begin, " / (1 - beta1**t)", "", hand)
    yield bug("adam: the first moment's correction is the second's", begin, "1 - beta1**t", "1 - beta2**t", hand)
    yield bug("adam: the second moment's correction is not a root", begin, "sqrt(1 - beta2**t)", "(1 - beta2**t)",
              hand)  # fmt: skip
    yield bug("adam: the correction counts from 0", begin, "beta2**t", "beta2**(t - 1)", hand)
    yield bug("adam: ε is not corrected as the root beside it", begin, "float(self.eps) * correction",
              "float(self.eps)", hand)  # fmt: skip
    yield bug("adam: the rate is not corrected", begin, "lr * correction", "lr", hand)
    yield bug("adamw: θ does not decay", f"{OPTIMIZERS}.adam:AdamW._decay", "1 - lr * float(self.weight_decay)", "1.0",
              test_optimizers.test_two_steps_by_hand, AdamW(0.5, eps=0, weight_decay=0.5), -0.3125)  # fmt: skip
    yield bug("optimizers: NumPy's steps do not scale", f"{OPTIMIZERS}.optimizer:scaled", "g * scale", "g",
              test_updates.test_steps_have_numpys_bits, SGD(0.1), "float64")  # fmt: skip


def _norms() -> Iterator[Mutation]:
    """‖g‖ and the factor made of it."""
    factor = f"{CLIPPING}:clipping_factor"
    yield bug("norms: a gradient's first block stands for all", "kernels.cpu.updates.norm:sums_of_squares",
              "np.add.reduceat(sums, firsts)", "sums[firsts]",
              test_updates.test_sums_of_squares_are_right_to_double_precision, "float32",
              3 * test_updates.B + 77)  # fmt: skip
    yield bug("clipping: the longest gradient's norm is taken for all", factor,
              "sqrt(sum((part / largest) ** 2 for part in norms))", "1.0",
              checks.clipping_keeps_the_direction)  # fmt: skip
    yield bug("clipping: what is short is made longer", factor, "1.0 if norm <= max_norm else ", "",
              test_optimizers.test_short_gradients_are_left_as_they_are, 6)  # fmt: skip
    yield bug("clipping: the factor is turned over", factor, "float(max_norm) / norm", "norm / float(max_norm)",
              checks.clipping_keeps_the_direction)  # fmt: skip
    yield bug("clipping: squares that overflow are believed", f"{CLIPPING}:_norm", "if isfinite(square):", "if True:",
              test_optimizers.test_no_square_overflows_or_vanishes, "float64", 1e200)  # fmt: skip


def _heads() -> Iterator[Mutation]:
    """Losses from what a loop has written, and what is asked of a loop."""
    losses, rule = f"{CALLS}:losses_of", step_checks.softmax_head
    yield bug("head: the target's own score is left out of the sum", losses, "np.log(others + own)", "np.log(others)",
              rule, "equations", "tiny")  # fmt: skip
    yield bug("head: scores are measured from the target's", losses, "np.maximum(top, z)", "z",
              rule, "hopeless", "tiny")  # fmt: skip
    yield bug("head: a small loss is a difference of numbers near 1", losses, "np.log1p(others)", "np.log(1 + others)",
              rule, "sure", "tiny")  # fmt: skip
    yield bug("head: the distance from the largest score is not added", losses, " + (largest - z)", "",
              rule, "equations", "tiny")  # fmt: skip
    yield bug("head: scores that are not finite have a loss", losses, "np.where(sound, losses, np.nan)", "losses",
              rule, "not_finite", "tiny")  # fmt: skip
    loss, both = f"{HEAD}:head_loss", step_checks.head_and_loss
    yield bug("head: gradients are not the share of a loss that counts all alike", loss, "share / N", "1 / N",
              both, "all")  # fmt: skip
    yield bug("head: gradients are not the share of a weighted loss", loss, "share * rows.w", "rows.w",
              both, "weighted")  # fmt: skip
    yield bug("head: gradients are not divided by the weights' sum", loss, " / rows.total", "", both, "weighted")
    yield bug("head: the loss forgets the weights", f"{HEAD}:_mean", "rows.w * losses", "losses", both, "weighted")
    yield bug("head: rows that count stand where the first rows do", f"{HEAD}:_spread", "whole[rows.counting]",
              "whole[: len(found)]", both, "some")  # fmt: skip
    yield bug("head: what was turned round is not turned back", f"{HEAD}:_spread", "if rows.turned else",
              "if False else", both, "all", "time")  # fmt: skip
    yield bug("head: targets are not turned round as what is read", f"{HEAD}:_rows", "targets.swapaxes(0, 1)",
              "targets", both, "all", "time")  # fmt: skip


def _embeddings() -> Iterator[Mutation]:
    """The sum of each token's vectors."""
    total, check = "rnn_core.layers.embedding:_sum_by_token", step_checks.sums_by_token
    yield bug("embedding: a token's first vector stands for all", total,
              "np.add.reduceat(vectors[order], first, axis=0)", "vectors[order][first]", check, "numpy")  # fmt: skip
    yield bug("embedding: vectors are added up as they come", total, "np.add.reduceat(vectors[order]",
              "np.add.reduceat(vectors[: order.size]", check, "numpy")  # fmt: skip
    yield bug("embedding: the kernels add vectors up as they come", total, "sums_of_rows(vectors, order",
              "sums_of_rows(vectors, np.arange(order.size)", check, "cpu")  # fmt: skip
    yield bug("embedding: a row takes its next token's first vector along", total, "np.append(first[1:], order.size)",
              "np.minimum(np.append(first[1:] + 1, order.size), order.size)", check, "cpu")  # fmt: skip
    yield bug("embedding: sums stand at the tokens as they come", total, "ordered[first]", "tokens[first]",
              check, "cpu")  # fmt: skip


def _rounding() -> Iterator[Mutation]:
    """Products that read rounded numbers, or integers with scales."""
    read = step_checks.products_read_rounded_numbers
    rows_x, rows_da = "x.reshape(-1, x.shape[-1])", "da.reshape(-1, da.shape[-1])"
    for place, function, factor, behind in (
        ("of x, forward", "affine", "np.ascontiguousarray(x)", ""),
        ("of W, forward", "affine", "W", ".T"),
        ("of da, for dx", "affine_backward_x", rows_da, " @"),
        ("of W, for dx", "affine_backward_x", "W", ")"),
        ("of da, for dW", "affine_backward_W", rows_da, ".T"),
        ("of x, for dW", "affine_backward_W", rows_x, ""),
        ("of da, for db", "affine_backward_b", rows_da, ".sum"),
    ):
        yield bug(f"bfloat16: the rounding is missing {place}", f"{AFFINE}:{function}", f"q({factor}){behind}",
                  factor + behind, read)  # fmt: skip
    yield bug("bfloat16: halves go up, not to the even one", "rnn_core.equations.rounding:rounded_to_bfloat16",
              "np.uint32(0x7FFF) + last", "np.uint32(0x8000)", test_bfloat16.test_rounding_by_hand)  # fmt: skip
    linear = "rnn_core.layers.linear:Linear"
    for place, function, factor in (("of A", "_product", "A"), ("of B", "_product", "B"), ("for db", "backward", "dy")):
        yield bug(f"bfloat16: a linear layer's rounding is missing {place}", f"{linear}.{function}",
                  f"self._read({factor})", factor, step_checks.linear_reads_rounded_numbers)  # fmt: skip
    yield bug("bfloat16: the one pass of head and loss is not told of it", f"{HEAD}:kernels_of",
              "softmax_head(head.precision)", "softmax_head()",
              test_precision.test_what_predicts_is_rounded_as_what_was_trained)  # fmt: skip
    product, exact = f"{QUANTIZED}:QuantizedWeight.__rmatmul__", test_quantized.test_a_product_is_that_of_integers
    yield bug("int8: the weight's scales are left out", product, " * self.scale", "", exact)
    yield bug("int8: the rows' scales are left out", product, " * scale[..., np.newaxis]", "", exact)
    yield bug("int8: numbers are cut off, not rounded", f"{QUANTIZED}:quantized", "np.rint(", "np.trunc(",
              test_quantized.test_a_number_is_off_by_half_a_scale_at_most)  # fmt: skip


MUTATIONS = (
    *_handed_to_optimizers(),
    *_optimizers(),
    *_norms(),
    *_heads(),
    *_embeddings(),
    *_rounding(),
)
