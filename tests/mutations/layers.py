"""Bugs in layers, models, losses and the optimizers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests import checks

from .mutation import Mutation


def _layer_bugs() -> Iterator[Mutation]:
    """Bugs in what is built around the cells."""

    def bug(name: str, target: str, old: str, new: str, check: Callable[..., None], *arguments: Any, times: int = 1):
        return Mutation(name, f"rnn_core.{target}", old, new, check, arguments, times)

    cells = "layers.passes.cells:Cells"
    segments = "layers.passes.segments:Segments"
    for bug_of, target, old, new in (
        ("what comes before a reset reaches what comes after", "begin", "[:, group.begin]", "[:, group.b]"),
        ("a final state's gradient is another row's", "end_backward", "ds[:, rows]", "ds[:, rows[:1]]"),
        ("only a row's last reset counts", "again_backward", "ds_back[:, rows] + ds[:, segments]", "ds[:, segments]"),
        ("a first state has no gradient", "first_backward", "ds0[:, rows] = ds[:, segments]", "pass"),
        ("the final state is that of another row", "end", "state[:, segments]", "state[:, segments[::-1]]"),
    ):
        yield bug(f"resets: {bug_of}", f"{segments}.{target}", old, new, checks.resets_cut_rows, "LSTM")
    for bug_of, target, old, new in (
        ("c's own gradient is dropped", "equations.lstm:backward", "dc = dc + dz[t]", "dc = dc"),
        ("so is what is past a length not", "equations.lstm:backward", "ragged.zero_past(lengths, dstates[1])",
         "dstates[1]"),
        ("lower layers get it, too", f"{cells}._back_cells", "dx * mask, []", "dx * mask, others"),
        ("c is not turned back", f"{cells}._forward_cells", "turn(part, lengths, d)", "part"),
    ):  # fmt: skip
        yield bug(f"every state: {bug_of}", target, old, new, checks.every_state, "LSTM")
    stream = "layers.small.stream:Stream"
    for bug_of, target, old, new in (
        ("a piece begins where the same desk ended", "_pieces", "_copy(states, place.states)", "pass"),
        ("a state is not fetched from a desk", "_pieces", "_copy(place.states, states)", "pass"),
    ):
        yield bug(f"streams: {bug_of}", f"{stream}.{target}", old, new, checks.a_stream_is_the_sequence, "GRU")
    yield bug(
        "layers: the second direction's dx is not turned back",
        f"{cells}._back_cells",
        "dxs.append(turn(dx_d, lengths, d) if",
        "dxs.append(dx_d if",
        checks.standard_gradients,
        "LSTM",
        "bidirectional",
    )
    yield bug(
        "layers: dy of both directions is exchanged",
        f"{cells}._back_cells",
        "_part(ds, D, d)",
        "_part(ds, D, D - 1 - d)",
        checks.standard_gradients,
        "GRU",
        "bidirectional",
    )
    yield bug(
        "layers: the directions' states are exchanged",
        f"{cells}._back_cells",
        "s[k * D + d]",
        "s[k * D + D - 1 - d]",
        checks.standard_gradients,
        "LSTM",
        "bidirectional",
    )
    yield bug(
        "layers: the initial states' gradients come in reverse",
        f"{cells}._back_cells",
        "dstates0[::-1]",
        "dstates0",
        checks.standard_gradients,
        "RNN tanh",
        "stacked",
    )
    yield bug(
        "layers: dropout is not applied in the backward",
        f"{cells}._back_cells",
        "dx if mask is None else dx * mask",
        "dx",
        checks.dropout_masks_hold,
        "LSTM",
    )
    yield bug(
        "layers: dropout is not scaled",
        "layers.dropout:drawn_mask",
        "(1 / (1 - p))",
        "1",
        checks.dropout_masks_hold,
        "GRU",
    )
    yield bug(
        "layers: the second direction begins in the padding",
        "layers.layout:turn",
        "lengths - 1 - t, t)",
        "len(sequence) - 1 - t, t)",
        checks.rows_alone_equal_rows_together,
        "LSTM",
    )
    yield bug(
        "affine: the bias is summed over one axis only",
        "equations.affine:affine_backward_b",
        "q(da.reshape(-1, da.shape[-1])).sum(axis=0)",
        "q(da[0].reshape(-1, da.shape[-1])).sum(axis=0)",
        checks.standard_gradients,
        "RNN tanh",
        "ragged",
    )
    yield bug(
        "pooling: the mean divides by T",
        "layers.pooling:_mean",
        "/ _counts(xp, lengths, y)",
        "/ y.shape[0]",
        checks.classifier_gradients,
        "mean",
    )
    yield bug(
        "pooling: the last step is the last of the padding",
        "layers.pooling:Pooling._last",
        "lengths[:, None] - 1",
        "lengths[:, None] * 0 + lengths.max() - 1",
        checks.classifier_pools_valid_steps,
        "last",
    )
    yield bug(
        "pooling: the maximum may lie in the padding",
        "layers.pooling:Pooling._pool",
        "lengths, -xp.inf)",
        "lengths, 9)",
        checks.classifier_pools_valid_steps,
        "max",
    )
    yield bug(
        "pooling: the gradient of a maximum goes to the step that has it last",
        "layers.pooling:_first_step_of",
        "xp.min(xp.where(y < largest, numbers[-1], numbers), axis=0)",
        "xp.max(xp.where(y < largest, 0 * numbers[-1], numbers), axis=0)",
        checks.equal_maxima_go_to_the_first,
    )
    yield bug(
        "embedding: the padding row learns",
        "layers.embedding:Embedding.backward",
        "if self.padding_idx is not None:",
        "if False:",
        checks.padding_row_has_no_gradient,
    )
    yield bug(
        "embedding: a token seen twice counts once",
        "layers.embedding:_sum_by_token",
        "np.append(first[1:], order.size)",
        "first + 1",
        checks.language_model_gradients,
        False,
    )
    yield bug(
        "tied: the gradient of one use is forgotten",
        "models.trunk:Trunk._backward_below",
        'grads["embedding.weight"] = summed(grads["embedding.weight"], grads.pop("head.weight"))',
        'grads.pop("head.weight")',
        checks.language_model_gradients,
        True,
    )
    for place, sequence, function in (("in", "dx", "_backward_core"), ("out", "dy", "_backward_below")):
        yield bug(
            f"models: the dropout on the way {place} is not applied in the backward",
            f"models.trunk:Trunk.{function}",
            f"{sequence} = self.dropout.backward(tape.dropout_{place}, {sequence})",
            "pass",
            checks.model_gradients_with_dropout,
        )
    yield bug(
        "models: the gradient of the final state is dropped",
        "models.trunk:Trunk._backward_core",
        "dy, dstate, needs=core",
        "dy, None, needs=core",
        checks.language_model_gradients,
        False,
    )
    yield bug(
        "models: targets in the padding count",
        "models.inputs:target_weights",
        "valid_steps(np, lengths, shape[1])",
        "np.ones(shape)",
        checks.padding_counts_nothing,
    )
    yield bug(
        "models: a weight in the padding counts",
        "models.inputs:target_weights",
        "xp.where(valid_steps(xp, lengths, shape[1]), weights, 0)",
        "weights",
        checks.padding_counts_nothing,
    )
    yield bug(
        "softmax: the −1 on the target is missing",
        "training.losses.cross_entropy:SoftmaxCrossEntropy.backward",
        "dz[n, t] = ",
        "_ = ",
        checks.loss_gradients,
        "softmax",
    )
    yield bug(
        "losses: weights are not used in the backward",
        "training.losses.mean:weighted_mean",
        "/ total, w / total",
        "/ total, w / w / len(w)",
        checks.loss_gradients,
        "binary",
    )
    yield bug(
        "squared error: the factor 2 is missing",
        "training.losses.squared:SquaredError.forward",
        "ElementTape(2 * difference",
        "ElementTape(difference",
        checks.loss_gradients,
        "squared",
    )
    yield bug(
        "momentum: the first gradient is forgotten",
        "training.optimizers.sgd:SGD._step",
        "u += way",
        "u[...] = way",
        checks.optimizers_by_hand,
    )
    yield bug(
        "adam: the bias correction is missing",
        "training.optimizers.adam:Adam._begin",
        "correction = sqrt(1 - beta2**t)",
        "correction = 1.0",
        checks.optimizers_by_hand,
    )
    yield bug(
        "adam: the step counter stands still",
        "training.optimizers.adam:Adam._end",
        "slots[-1][()] = step.t",
        "slots[-1][()] = 0",
        checks.optimizers_by_hand,
    )
    yield bug(
        "clipping: each gradient on its own",
        "training.clipping:clip_by_global_norm",
        "_scaled(g, factor)",
        "_scaled(g, clipping_factor({name: g}, max_norm)[0])",
        checks.clipping_keeps_the_direction,
    )
    yield bug(
        "freezing: the core's gradients are computed all the same",
        "models.base:Model._trainable",
        "if name not in self.frozen",
        "",
        checks.frozen_parameters_get_no_gradient,
    )


MUTATIONS = (*_layer_bugs(),)
