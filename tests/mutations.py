"""Bugs to plant: each changes a line of the code in one place, and names the check that has to notice.

A mutation is a change of source text, so that it stays what it says: if the line it changes is no longer there
exactly as often as expected, the suite fails and asks for the mutation to be brought up to date.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import linecache
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from tests import checks

EQUATIONS = "rnn_core.equations"


class Mutation(NamedTuple):
    """One planted bug."""

    bug: str
    target: str  # "package.module:function" or "package.module:Class.method"
    old: str
    new: str
    check: Callable[..., None]
    arguments: tuple[Any, ...]
    times: int = 1  # how often `old` stands in the function

    @property
    def caught_by(self) -> str:
        """The name of the check that has to fail."""
        return f"{self.check.__name__}[{', '.join(map(str, self.arguments))}]".replace("[]", "")

    @contextlib.contextmanager
    def planted(self) -> Iterator[None]:
        """Put the bug in place, and take it out again."""
        module_name, path = self.target.split(":")
        module = importlib.import_module(module_name)
        *owners, name = path.split(".")
        owner: Any = module
        for part in owners:
            owner = getattr(owner, part)
        original = inspect.getattr_static(owner, name)
        source = textwrap.dedent(inspect.getsource(original))
        if source.count(self.old) != self.times:
            raise LookupError(
                f"mutation {self.bug!r} is out of date: {self.old!r} stands {source.count(self.old)} times in "
                f"{self.target}, expected {self.times}"
            )
        mutant = f"from __future__ import annotations\n{source.replace(self.old, self.new)}"
        file = f"<{self.bug}>"
        linecache.cache[file] = (len(mutant), None, mutant.splitlines(True), file)  # for readable tracebacks
        scope: dict[str, Any] = {}
        exec(compile(mutant, file, "exec"), vars(module), scope)
        holders = [owner]
        if not owners:  # a function may have been imported by name elsewhere
            holders = [m for m in tuple(sys.modules.values()) if vars(m).get(name) is original]  # getattr may import
        for holder in holders:
            setattr(holder, name, scope[name])
        try:
            yield
        finally:
            for holder in holders:
                setattr(holder, name, original)
            del linecache.cache[file]


def _cell_bugs() -> Iterator[Mutation]:
    """Bugs in the equations."""
    gradients, by_hand, rows = checks.standard_gradients, checks.values_by_hand, checks.rows_alone_equal_rows_together

    def bug(name: str, target: str, old: str, new: str, check: Callable[..., None], *arguments: Any, times: int = 1):
        return Mutation(name, f"{EQUATIONS}.{target}", old, new, check, arguments, times)

    for cell, file in (("RNN tanh", "rnn"), ("GRU", "gru")):
        yield bug(
            f"{file}: the gradient of h_T is dropped",
            f"{file}:backward",
            "(dh_T,) = dstate_T",
            "dh_T = None",
            gradients,
            cell,
            "ragged",
        )
    yield bug(
        "rnn: BPTT is cut after one step",
        "rnn:backward",
        "hold(lengths, t, dh_prev, dh)",
        "hold(lengths, t, 0 * dh_prev, dh)",
        gradients,
        "RNN tanh",
        "ragged",
    )
    yield bug(
        "rnn: BPTT is cut after 40 steps",
        "rnn:backward",
        "hold(lengths, t, dh_prev, dh)",
        "hold(lengths, t, dh_prev if t > 10 else 0 * dh_prev, dh)",
        gradients,
        "RNN sigmoid",
        "long",
    )
    yield bug(
        "lstm: BPTT is cut after 40 steps",
        "lstm:backward",
        "hold(lengths, t, dh_prev, dh)",
        "hold(lengths, t, dh_prev if t > 10 else 0 * dh_prev, dh)",
        gradients,
        "LSTM",
        "long",
    )
    yield bug(
        "lstm: BPTT through c is cut",
        "lstm:backward",
        "hold(lengths, t, dc_prev, dc)",
        "hold(lengths, t, 0 * dc_prev, dc)",
        gradients,
        "LSTM",
        "ragged",
    )
    yield bug(
        "gru: BPTT is cut after 40 steps",
        "gru:backward",
        "hold(lengths, t, dh_prev, dh)",
        "hold(lengths, t, dh_prev if t > 10 else 0 * dh_prev, dh)",
        gradients,
        "GRU",
        "long",
    )
    yield bug(
        "rnn: time is off by one in dW_h",
        "rnn:backward",
        "affine_backward_W(da, h[:-1])",
        "affine_backward_W(da, h[1:])",
        gradients,
        "RNN tanh",
        "ragged",
    )
    yield bug(
        "lstm: time is off by one in dW_h",
        "lstm:backward",
        "affine_backward_W(da, h[:-1])",
        "affine_backward_W(da, h[1:])",
        gradients,
        "LSTM",
        "ragged",
    )
    yield bug(
        "lstm: time is off by one in c",
        "lstm:backward",
        "gates[t], c[t], c[t + 1]",
        "gates[t], c[t + 1], c[t + 1]",
        gradients,
        "LSTM",
        "ragged",
    )
    yield bug(
        "gru: time is off by one in h",
        "gru:backward",
        "m[t], h[t], dh",
        "m[t], h[t + 1], dh",
        gradients,
        "GRU",
        "ragged",
    )
    yield bug(
        "rnn: the gradient of h_0 is zero",
        "rnn:backward",
        "np.array(dh)",
        "np.zeros_like(dh)",
        gradients,
        "RNN tanh",
        "ragged",
    )
    yield bug(
        "lstm: the gradient of c_0 is zero",
        "lstm:backward",
        "np.array(dc)",
        "np.zeros_like(dc)",
        gradients,
        "LSTM",
        "ragged",
    )
    yield bug(
        "lstm: the gradients of h_T and c_T are swapped",
        "lstm:backward",
        "for d in dstate_T)",
        "for d in dstate_T[::-1])",
        gradients,
        "LSTM",
        "ragged",
    )
    yield bug(
        "lstm: c_T's gradient replaces what comes through h",
        "lstm:step_backward",
        "dc = dc + dh * o * dtanh(tanh_c)",
        "dc = dh * o * dtanh(tanh_c)",
        gradients,
        "LSTM",
        "ragged",
    )
    yield bug(
        "lstm: tanh(c) is not derived",
        "lstm:step_backward",
        "dh * o * dtanh(tanh_c)",
        "dh * o",
        gradients,
        "LSTM",
        "ragged",
    )
    yield bug(
        "lstm: the output gate's gradient takes c for tanh(c)",
        "lstm:step_backward",
        "do = dh * tanh_c",
        "do = dh * c",
        gradients,
        "LSTM",
        "ragged",
    )
    yield bug(
        "lstm: the forget gate's derivative is missing",
        "lstm:step_backward",
        "df * dsigmoid(f)",
        "df",
        gradients,
        "LSTM",
        "ragged",
    )
    yield bug(
        "lstm: the candidate is derived as a sigmoid",
        "lstm:step_backward",
        "dg * dtanh(g)",
        "dg * dsigmoid(g)",
        gradients,
        "LSTM",
        "ragged",
    )
    yield bug(
        "lstm: forget and input gates are swapped in the backward",
        "lstm:step_backward",
        "LSTMGates(i=da_i, f=da_f",
        "LSTMGates(i=da_f, f=da_i",
        gradients,
        "LSTM",
        "ragged",
    )
    yield bug(
        "lstm: forget and input gates are swapped throughout",
        "lstm:step",
        "c = f * c_prev + i * g",
        "i, f = f, i; c = f * c_prev + i * g",
        by_hand,
        "LSTM",
    )
    yield bug(
        "lstm: the recurrent bias is dropped",
        "lstm:step",
        "affine(h_prev, W_h, b_h)",
        "affine(h_prev, W_h, None)",
        by_hand,
        "LSTM",
    )
    yield bug(
        "lstm: the input bias is dropped in inference", "lstm:infer", "x), W_x, b_x)", "x), W_x, None)", by_hand, "LSTM"
    )
    yield bug(
        "lstm: the bias has no gradient",
        "lstm:backward",
        "bias_hh=affine_backward_b(da)",
        "bias_hh=0 * affine_backward_b(da)",
        gradients,
        "LSTM",
        "ragged",
    )
    yield bug(
        "rnn: the gradients of all steps are 0.1 % too large",
        "rnn:step_backward",
        "dh * f.df(h)",
        "1.001 * dh * f.df(h)",
        gradients,
        "RNN sigmoid",
        "ragged",
    )
    yield bug(
        "rnn: the derivative is taken of the wrong step",
        "rnn:backward",
        "step_backward(params, f, h[t + 1], dh)",
        "step_backward(params, f, h[t], dh)",
        gradients,
        "RNN tanh",
        "ragged",
    )
    yield bug(
        "rnn: W_h is transposed in the backward",
        "rnn:step_backward",
        "affine_backward_x(da, W_h)",
        "affine_backward_x(da, W_h.T)",
        gradients,
        "RNN tanh",
        "ragged",
    )
    yield bug(
        "rnn: dy of the last step only",
        "rnn:backward",
        "if dy is not None:",
        "if dy is not None and t == len(x) - 1:",
        gradients,
        "RNN ReLU",
        "ragged",
    )
    yield bug(
        "relu: the derivative is 1 everywhere",
        "rnn:step_backward",
        "f.df(h)",
        "(1 if f is ACTIVATIONS['relu'] else f.df(h))",
        gradients,
        "RNN ReLU",
        "ragged",
    )
    yield bug(
        "gru: b_hn stands outside the reset gate",
        "gru:step",
        "n = tanh(a_x[:, block.n] + r * m)",
        "n = tanh(a_x[:, block.n] + r * (m - b_h[block.n]) + b_h[block.n])",
        by_hand,
        "GRU",
    )
    yield bug(
        "gru: b_hn is missing", "gru:step", "m = a_h[:, block.n]", "m = a_h[:, block.n] - b_h[block.n]", by_hand, "GRU"
    )
    yield bug(
        "gru: the gradient of b_hn lacks the reset gate",
        "gru:step_backward",
        "GRUGates(r=da_r, z=da_z, n=dm)",
        "GRUGates(r=da_r, z=da_z, n=da_n)",
        gradients,
        "GRU",
        "ragged",
    )
    yield bug(
        "gru: the update gate's gradient lacks the candidate",
        "gru:step_backward",
        "dz = dh * (h_prev - n)",
        "dz = dh * h_prev",
        gradients,
        "GRU",
        "ragged",
    )
    yield bug(
        "gru: the reset gate is applied to dh",
        "gru:step_backward",
        "dr = da_n * m",
        "dr = dn * m",
        gradients,
        "GRU",
        "ragged",
    )
    yield bug(
        "gru: the direct way from h_t to h_t−1 is missing",
        "gru:step_backward",
        "dh * z + affine_backward_x(da_h, W_h)",
        "affine_backward_x(da_h, W_h)",
        gradients,
        "GRU",
        "ragged",
    )
    yield bug(
        "gru: z and 1 − z are exchanged",
        "gru:step",
        "h = (1 - z) * n + z * h_prev",
        "h = z * n + (1 - z) * h_prev",
        by_hand,
        "GRU",
    )
    yield bug(
        "ragged: the state runs on past lengths",
        "ragged:hold",
        "running = (t < lengths)",
        "running = (t <= lengths)",
        rows,
        "LSTM",
    )
    yield bug(
        "ragged: gradients leak past lengths",
        "gru:backward",
        "da_h[t] = ragged.hold(lengths, t, da_h_t, 0)",
        "da_h[t] = da_h_t",
        rows,
        "GRU",
    )
    yield bug(
        "ragged: the padding's NaN reaches the weights",
        "rnn:forward",
        "x = ragged.zero_past(lengths, x)",
        "x = x",
        rows,
        "RNN tanh",
    )
    yield bug(
        "ragged: dy past a row's end is used", "lstm:backward", "ragged.zero_past(lengths, dy)", "dy", rows, "LSTM"
    )
    yield bug(
        "ragged: y holds the last state past lengths",
        "rnn:forward",
        "ragged.zero_past(lengths, h[1:]).copy()",
        "h[1:].copy()",
        rows,
        "RNN tanh",
    )
    yield bug(
        "second call: the tape is overwritten",
        "lstm:forward",
        "h = np.empty((T + 1, B, H), a_x.dtype)",
        "h = vars(forward).setdefault('shared', {}).setdefault((T, B, H), np.empty((T + 1, B, H), a_x.dtype))",
        checks.a_second_call_changes_nothing,
        "LSTM",
    )
    yield bug(
        "second call: inference changes the weights",
        "rnn:infer",
        "(h,) = state0",
        "(h,) = state0; params.bias_hh[...] += 1e-9",
        checks.a_second_call_changes_nothing,
        "RNN tanh",
    )


def _layer_bugs() -> Iterator[Mutation]:
    """Bugs in what is built around the cells."""

    def bug(name: str, target: str, old: str, new: str, check: Callable[..., None], *arguments: Any, times: int = 1):
        return Mutation(name, f"rnn_core.{target}", old, new, check, arguments, times)

    recurrent = "layers.stack:Recurrent"
    yield bug(
        "layers: the second direction's dx is not turned back",
        f"{recurrent}.backward",
        "dxs.append(turn(dx_d, lengths, d) if",
        "dxs.append(dx_d if",
        checks.standard_gradients,
        "LSTM",
        "bidirectional",
    )
    yield bug(
        "layers: dy of both directions is exchanged",
        f"{recurrent}.backward",
        "dy[..., d * H : (d + 1) * H]",
        "dy[..., (D - 1 - d) * H : (D - d) * H]",
        checks.standard_gradients,
        "GRU",
        "bidirectional",
    )
    yield bug(
        "layers: the directions' states are exchanged",
        f"{recurrent}.backward",
        "s[k * D + d]",
        "s[k * D + D - 1 - d]",
        checks.standard_gradients,
        "LSTM",
        "bidirectional",
    )
    yield bug(
        "layers: the initial states' gradients come in reverse",
        f"{recurrent}.backward",
        "dstates0[::-1]",
        "dstates0",
        checks.standard_gradients,
        "RNN tanh",
        "stacked",
    )
    yield bug(
        "layers: dropout is not applied in the backward",
        f"{recurrent}.backward",
        "dx if mask is None else dx * mask",
        "dx",
        checks.dropout_masks_hold,
        "LSTM",
    )
    yield bug(
        "layers: dropout is not scaled",
        "layers.dropout:dropout_mask",
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
        "da.reshape(-1, da.shape[-1]).sum(axis=0)",
        "da[0].reshape(-1, da.shape[-1]).sum(axis=0)",
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
        "layers.pooling:_argmax",
        "real, -xp.inf)",
        "real, xp.inf)",
        checks.classifier_pools_valid_steps,
        "max",
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
        "np.add.reduceat(vectors[order], first, axis=0)",
        "vectors[order][first]",
        checks.language_model_gradients,
        False,
    )
    yield bug(
        "tied: the gradient of one use is forgotten",
        "models.trunk:Trunk._backward",
        'grads["embedding.weight"] += grads.pop("head.weight")',
        'grads.pop("head.weight")',
        checks.language_model_gradients,
        True,
    )
    for place, sequence in (("in", "dx"), ("out", "dy")):
        yield bug(
            f"models: the dropout on the way {place} is not applied in the backward",
            "models.trunk:Trunk._backward",
            f"{sequence} = self.dropout.backward(tape.dropout_{place}, {sequence})",
            "pass",
            checks.model_gradients_with_dropout,
        )
    yield bug(
        "models: the gradient of the final state is dropped",
        "models.trunk:Trunk._backward",
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
        "training.losses:SoftmaxCrossEntropy.backward",
        "dz[n, t] = ",
        "_ = ",
        checks.loss_gradients,
        "softmax",
    )
    yield bug(
        "losses: weights are not used in the backward",
        "training.losses:_weighted_mean",
        "/ total, w / total",
        "/ total, w / w / len(w)",
        checks.loss_gradients,
        "binary",
    )
    yield bug(
        "squared error: the factor 2 is missing",
        "training.losses:SquaredError.forward",
        "ElementTape(2 * difference",
        "ElementTape(difference",
        checks.loss_gradients,
        "squared",
    )
    yield bug(
        "momentum: the first gradient is forgotten",
        "training.optimizers:SGD._step",
        "u += step",
        "u[...] = step",
        checks.optimizers_by_hand,
    )
    yield bug(
        "adam: the bias correction is missing",
        "training.optimizers:Adam._step",
        "correction = sqrt(1 - beta2**t)",
        "correction = 1.0",
        checks.optimizers_by_hand,
    )
    yield bug(
        "adam: the step counter stands still",
        "training.optimizers:Adam._step",
        "count += 1",
        "count[...] = 1",
        checks.optimizers_by_hand,
    )
    yield bug(
        "clipping: each gradient on its own",
        "training.clipping:clip_by_global_norm",
        "_scaled(g, factor)",
        "_scaled(g, float(max_norm) / _norm(where, name, g, *_sums_of_squares([g])))",
        checks.clipping_keeps_the_direction,
    )
    yield bug(
        "freezing: the core's gradients are computed all the same",
        "models.base:Model._trainable",
        "if name not in self.frozen",
        "",
        checks.frozen_parameters_get_no_gradient,
    )


MUTATIONS = (*_cell_bugs(), *_layer_bugs())
