"""Bugs in the backward of the variants, for nearly every term of a gradient one, and in the scan."""

from __future__ import annotations

from collections.abc import Iterator

from rnn_core.layers.defined import SHIPPED
from tests.variant_checks import all_steps_at_once, variant_step

from .mutation import Mutation

TERMS = {
    "PeepholeLSTM": {
        "c is not squashed for o": ("do = dstate.h * tanh_c", "do = dstate.h * state.c"),
        "the output gate's slope is that of tanh": ("(o * (1 - o))", "(1 - o * o)"),
        "the output gate does not see c": (" + da_o * p.p_o", ""),
        "h's own way into c is lost": ("dstate.h * o * (1 - tanh_c * tanh_c)", "0"),
        "c's own gradient is lost": ("dc = dstate.c + ", "dc = "),
        "i meets o": ("da_i = dc * (d.g * g)", "da_i = dc * o"),
        "i meets a candidate that was dropped": ("da_i = dc * (d.g * g)", "da_i = dc * g"),
        "a candidate that was dropped has a gradient": ("dc * i * d.g", "dc * i"),
        "f meets the new c": ("da_f = dc * prev.c", "da_f = dc * state.c"),
        "g meets f": ("da_g = dc * i", "da_g = dc * f"),
        "the input gate does not see c": (" + da_i * p.p_i", ""),
        "the forget gate does not see c": (" + da_f * p.p_f", ""),
        "the carousel stands still": ("dc_prev = dc * f", "dc_prev = dc"),
        "p_i meets the new c": ("p_i=da_i * prev.c", "p_i=da_i * state.c"),
        "p_f meets the new c": ("p_f=da_f * prev.c", "p_f=da_f * state.c"),
        "p_o meets the old c": ("p_o=da_o * state.c", "p_o=da_o * prev.c"),
    },
    "CoupledLSTM": {
        "c is not squashed for o": ("do = dstate.h * tanh_c", "do = dstate.h * state.c"),
        "c's own gradient is lost": ("dc = dstate.c + ", "dc = "),
        "tanh has no slope": (" * (1 - tanh_c * tanh_c)", ""),
        "what f lets out is forgotten": ("(prev.c - d.g * g)", "prev.c"),
        "the input gate is f": ("dg = dc * (1 - f)", "dg = dc * f"),
        "the carousel is shut the wrong way": ("dc_prev = dc * f", "dc_prev = dc * (1 - f)"),
        "f has no slope": ("df * (f * (1 - f))", "df"),
        "g's slope is the logistic's": ("dg * (1 - g * g)", "dg * (g * (1 - g))"),
        "o's slope is tanh's": ("do * (o * (1 - o))", "do * (1 - o * o)"),
    },
    "LeakyRNN": {
        "the leak is left out": ("dn = dstate.h * p.alpha", "dn = dstate.h"),
        "the state leaks by the wrong share": ("dstate.h * (1 - p.alpha)", "dstate.h * p.alpha"),
        "tanh has no slope": ("dn * (1 - kept.n * kept.n)", "dn"),
    },
    "IndRNN": {
        "the dead are alive": ("where_less(0, state.h, dstate.h * d.h, 0)", "dstate.h"),
        "a unit's past has no weight": ("da * p.u", "da"),
        "u meets the new h": ("da * prev.h", "da * state.h"),
    },
    "MinimalGatedUnit": {
        "n is not gated": ("dn = dstate.h * f", "dn = dstate.h"),
        "the old state is gated the wrong way": ("dstate.h * (1 - f)", "dstate.h * f"),
        "tanh has no slope": ("dn * (1 - n * n)", "dn"),
        "f does not update": ("dstate.h * (d.n * n - prev.h) + ", ""),
        "f does not reset": (" + da_n * m", ""),
        "f has no slope": ("df * (f * (1 - f))", "df"),
        "m is not gated": ("dm = da_n * f", "dm = da_n"),
    },
    "MinGRU": {
        "z keeps the old state": ("(d.n * n - prev.h)", "(prev.h - d.n * n)"),
        "n is not gated": ("dn = dstate.h * z", "dn = dstate.h"),
        "the old state is gated the wrong way": ("dstate.h * (1 - z)", "dstate.h * z"),
        "z has no slope": ("dz * (z * (1 - z))", "dz"),
    },
    "MinLSTM": {
        "f keeps the candidate": ("(prev.h - d.n * n)", "(d.n * n - prev.h)"),
        "the candidate's share is f": ("dn = dstate.h * (1 - f)", "dn = dstate.h * f"),
        "the old state's share is not f": ("dh_prev = dstate.h * f", "dh_prev = dstate.h"),
        "the share has no slope": ("df * (f * (1 - f))", "df"),
        "f is taken for its own complement": ("ddelta * not_f", "ddelta * f"),
        "i opens f": ("-(ddelta * not_i)", "ddelta * not_i"),
    },
    "SLSTM": {
        "o meets c, not the mean": ("do = dstate.h * mean", "do = dstate.h * state.c"),
        "c's own gradient is lost": ("dc = dstate.c + ", "dc = "),
        "c is not normalised": ("dc = dstate.c + dstate.h * o / state.n", "dc = dstate.c + dstate.h * o"),
        "n's own gradient is lost": ("dn = dstate.n - ", "dn = -"),
        "the normaliser is a constant": (" - dstate.h * o * mean / state.n", ""),
        "f does not reach n": ("dc * prev.c + dn * prev.n", "dc * prev.c"),
        "i does not reach n": ("dc * (d.z * z) + dn", "dc * (d.z * z)"),
        "z is not gated": ("dz = dc * i", "dz = dc"),
        "m's own gradient is lost": ("dm = dstate.m - d_f", "dm = -d_f"),
        "the stabiliser does not shrink f": ("dstate.m - d_f - d_i", "dstate.m - d_i"),
        "the stabiliser does not shrink i": ("dstate.m - d_f - d_i", "dstate.m - d_f"),
        "the stabiliser is not of f": ("d_f + of_f * dm", "d_f"),
        "the stabiliser is not of i": (" + (1 - of_f) * dm", ""),
        "f is exponential": ("dphi * not_f", "dphi"),
        "z's slope is the logistic's": ("dz * (1 - z * z)", "dz * (z * (1 - z))"),
        "o's slope is tanh's": ("do * (o * (1 - o))", "do * (1 - o * o)"),
        "the carousel stands still": ("c=dc * f", "c=dc"),
        "the normaliser stands still": ("n=dn * f", "n=dn"),
        "m starts anew": ("m=dphi", "m=0"),
    },
    "ProjectedLSTM": {
        "what is projected is not squashed": ("outer(dstate.h, o * tanh_c)", "outer(dstate.h, o * state.c)"),
        "what is projected is not gated": ("outer(dstate.h, o * tanh_c)", "outer(dstate.h, tanh_c)"),
        "c is not squashed for o": ("do = dm * tanh_c", "do = dm * state.c"),
        "c's own gradient is lost": ("dc = dstate.c + ", "dc = "),
        "m's way into c is lost": ("dm * o * (1 - tanh_c * tanh_c)", "0"),
        "tanh has no slope": (" * (1 - tanh_c * tanh_c)", ""),
        "i meets o": ("da_i = dc * (d.g * g)", "da_i = dc * o"),
        "i meets a candidate that was dropped": ("da_i = dc * (d.g * g)", "da_i = dc * g"),
        "a candidate that was dropped has a gradient": ("dc * i * d.g", "dc * i"),
        "f meets the new c": ("da_f = dc * prev.c", "da_f = dc * state.c"),
        "g meets f": ("da_g = dc * i", "da_g = dc * f"),
        "the output gate's slope is that of tanh": ("(o * (1 - o))", "(1 - o * o)"),
        "the carousel stands still": ("dc_prev = dc * f", "dc_prev = dc"),
    },
    "ResetBeforeGRU": {
        "n is not gated": ("dn = dstate.h * (1 - z)", "dn = dstate.h"),
        "z keeps the candidate": ("(prev.h - d.n * n)", "(d.n * n - prev.h)"),
        "z meets a candidate that was dropped": ("(prev.h - d.n * n)", "(prev.h - n)"),
        "a candidate that was dropped has a gradient": ("dstate.h * (1 - z) * d.n", "dstate.h * (1 - z)"),
        "tanh has no slope": ("dn * (1 - n * n)", "dn"),
        "the product is not turned": ("product_transposed(p.weight_hn, da_n)", "product(p.weight_hn, da_n)"),
        "W_n meets the state, not what is left of it": ("outer(da_n, r * prev.h)", "outer(da_n, prev.h)"),
        "W_n's gradient has not gone through tanh": ("outer(da_n, ", "outer(dn, "),
        "r meets the new h": ("dr = dv * prev.h", "dr = dv * state.h"),
        "the old state is gated the wrong way": ("dstate.h * z + ", "dstate.h * (1 - z) + "),
        "the old state is not reset": (" + dv * r", ""),
        "the old state is heard in spite of its reset": (" + dv * r", " + dv"),
        "z has no slope": ("dz * (z * (1 - z))", "dz"),
        "r has no slope": ("dr * (r * (1 - r))", "dr"),
    },
    "GateBeforeMGU": {
        "n is not gated": ("dn = dstate.h * f", "dn = dstate.h"),
        "tanh has no slope": ("dn * (1 - n * n)", "dn"),
        "the product is not turned": ("product_transposed(p.weight_hn, da_n)", "product(p.weight_hn, da_n)"),
        "W_n meets the state, not what is left of it": ("outer(da_n, f * prev.h)", "outer(da_n, prev.h)"),
        "f does not update": ("dstate.h * (d.n * n - prev.h) + ", ""),
        "f meets a candidate that was dropped": ("(d.n * n - prev.h)", "(n - prev.h)"),
        "a candidate that was dropped has a gradient": ("dn = dstate.h * f * d.n", "dn = dstate.h * f"),
        "f does not forget": (" + dv * prev.h", ""),
        "the old state is gated the wrong way": ("dstate.h * (1 - f)", "dstate.h * f"),
        "the old state is not heard": (" + dv * f", ""),
        "f has no slope": ("df * (f * (1 - f))", "df"),
    },
    "LayerNormLSTM": {
        "q is not squashed for o": ("do = dstate.h * tanh_q", "do = dstate.h * state.c"),
        "tanh has no slope": (" * (1 - tanh_q * tanh_q)", ""),
        "c's own gradient is lost": ("dc = dstate.c + ", "dc = "),
        "c has no gain": ("dq * p.gain_c, c_hat", "dq, c_hat"),
        "c is not normalised": ("normalised_backward(dq * p.gain_c, c_hat, s_c)", "dq * p.gain_c"),
        "i meets o": ("da_i = dc * (d.g * g)", "da_i = dc * o"),
        "i meets a candidate that was dropped": ("da_i = dc * (d.g * g)", "da_i = dc * g"),
        "a candidate that was dropped has a gradient": ("dc * i * d.g", "dc * i"),
        "f meets the new c": ("da_f = dc * prev.c", "da_f = dc * state.c"),
        "g meets f": ("da_g = dc * i", "da_g = dc * f"),
        "the output gate's slope is that of tanh": ("(o * (1 - o))", "(1 - o * o)"),
        "the carousel stands still": ("dc_prev = dc * f", "dc_prev = dc"),
        "g has the state's gain": ("da_g * p.gain_xg", "da_g * p.gain_hg"),
        "the state's o has no gain": ("da_o * p.gain_ho", "da_o"),
        "ε is forgotten": ("deviation(each, p.eps)", "deviation(each, 0)"),
        "the sums are not normalised": ("normalised_backward(*each)", "each[0]"),
        "a gain meets the state's sum": ("gain_xi=da_i * hat.xi", "gain_xi=da_i * hat.hi"),
        "c's gain meets c": ("gain_c=dq * c_hat", "gain_c=dq * state.c"),
        "a shift is that of another gate": ("shift_f=da_f", "shift_f=da_i"),
        "c's shift is lost": ("shift_c=dq", "shift_c=0"),
    },
    "LayerNormGRU": {
        "n is not gated": ("dn = dstate.h * (1 - z)", "dn = dstate.h"),
        "z keeps the candidate": ("(prev.h - d.n * n)", "(d.n * n - prev.h)"),
        "z meets a candidate that was dropped": ("(prev.h - d.n * n)", "(prev.h - n)"),
        "a candidate that was dropped has a gradient": ("dstate.h * (1 - z) * d.n", "dstate.h * (1 - z)"),
        "the old state is gated the wrong way": ("dh_prev = dstate.h * z", "dh_prev = dstate.h * (1 - z)"),
        "tanh has no slope": ("dn * (1 - n * n)", "dn"),
        "r meets what is not shifted": ("(p.gain_hn * hat.hn + p.shift_hn)", "(p.gain_hn * hat.hn)"),
        "m is not reset": ("dm = da_n * r", "dm = da_n"),
        "z has no slope": ("dz * (z * (1 - z))", "dz"),
        "r has no slope": ("dr * (r * (1 - r))", "dr"),
        "n has the state's gain": ("da_n * p.gain_xn", "da_n * p.gain_hn"),
        "the state's n is not reset": ("dm * p.gain_hn", "da_n * p.gain_hn"),
        "the sums are not normalised": ("normalised_backward(*each)", "each[0]"),
        "a gain meets the state's sum": ("gain_xz=da_z * hat.xz", "gain_xz=da_z * hat.hz"),
        "the inner shift is not reset": ("shift_hn=dm", "shift_hn=da_n"),
    },
}  # fmt: skip


def _bugs() -> Iterator[Mutation]:
    for cell, bugs in TERMS.items():
        for bug, (old, new) in bugs.items():
            yield Mutation(f"{cell}: {bug}", f"{SHIPPED[cell]}:step_backward", old, new, variant_step, (cell,))
    for bug, target, old, new in (
        ("a sweep reads what it has written", "scan", "A[step:] * A[:-step]", "A[step:] * A[step:]"),
        ("the initial state is left out", "scan", "h[0] += A[0] * h0", "pass"),
        ("adjoints decay by their own step", "scan_backward", "np.concatenate((A[1:], np.zeros_like(A[:1])))", "A"),
        ("A meets the state after its step", "scan_backward", "adjoint * prev", "adjoint * h"),
        ("the initial state's gradient has not decayed", "scan_backward", "A[0] * adjoint[0]", "adjoint[0]"),
    ):
        yield Mutation(f"scan: {bug}", f"rnn_core.variants.scan:{target}", old, new, all_steps_at_once, ())
    for bug, old, new in (
        ("the row's mean stays in its gradient", " - mean(dv_hat)", ""),
        ("a row may be scaled", " - v_hat * mean(dv_hat * v_hat)", ""),
        ("units hear of their own scale alone", "v_hat * mean(dv_hat * v_hat)", "v_hat * v_hat * dv_hat"),
        ("the gradient is not scaled", ") / s", ")"),
    ):
        target = "rnn_core.variants.across.normalisation:normalised_backward"
        for cell in ("LayerNormLSTM", "LayerNormGRU"):
            yield Mutation(f"normalisation in {cell}: {bug}", target, old, new, variant_step, (cell,))


MUTATIONS = (*_bugs(),)
