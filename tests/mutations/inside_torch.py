"""Bugs between torch's modules and the kernels: names and places of parameters, packed rows, what is needed."""

from __future__ import annotations

from collections.abc import Iterator

from .mutation import Mutation

FUNCTION, PACKING = "rnn_core.torch.function", "rnn_core.torch.packed:Packing"
BORROWED, MODULES = "rnn_core.torch.borrowed:Borrowed", "rnn_core.torch.modules"

BUGS = (
    ("the reverse direction has the first one's weights", f"{BORROWED}._gathered_at",
     "self._name(field, layer, direction)", "self._name(field, layer, 0)", "GRU", "padded"),
    ("the second layer has the first one's recurrent weights", f"{BORROWED}._gathered_at",
     "self._name(field, layer, direction)", "self._name(field, layer if 'ih' in field else 0, direction)",
     "LSTM", "padded"),
    ("h0 has no gradient", f"{FUNCTION}:_backward", "(dx, *dstates0)", "(dx, *[0 * d for d in dstates0])", "LSTM",
     "padded"),
    ("dh0 and dc0 change places", f"{FUNCTION}:_backward", "zip(names, (dx, *dstates0)",
     "zip(names, (dx, *dstates0[::-1])", "LSTM", "padded"),
    ("the final states' gradients change places", f"{FUNCTION}:_backward", "for d in last]", "for d in last[::-1]]",
     "LSTM", "padded"),
    ("the final states have no gradient", f"{FUNCTION}:_backward", "None if d is None else view(d) for d in last",
     "None for d in last", "GRU", "padded"),
    ("states of a packed batch keep its order", f"{MODULES}:_permuted", "states if order is None else",
     "states if True else", "GRU", "packed"),
    ("final states of a packed batch are not put back", f"{MODULES}:Served.forward", "_permuted(finals, back)",
     "finals", "LSTM", "packed"),
    ("dx of a packed batch is that of the padded one's first rows", f"{FUNCTION}:_backward", "packing.packed(dx)",
     "dx.reshape(-1, dx.shape[-1])[: packing.there.sum()]", "GRU", "packed"),
    ("packed rows stand sequence behind sequence", f"{PACKING}.packed", "return sequence[self.there]",
     "return sequence.swapaxes(0, 1)[self.there.T]", "RNN", "packed"),
    ("all rows are as long as the longest", f"{PACKING}.of", "there.sum(axis=0)",
     "np.full(there.shape[1], len(there))", "LSTM", "packed"),
    ("time and batch change places in y alone", f"{MODULES}:Served.forward", "y.transpose(0, 1) if turned else y",
     "y", "GRU", "batch first"),
    ("states without a batch axis keep one", f"{MODULES}:Served.forward", "final.squeeze(1)", "final", "GRU",
     "unbatched"),
    ("what was dropped has a second derivative", f"{FUNCTION}:_differentiable", "options.dropout, ", "0.0, ", "GRU",
     "dropout", True),
    ("nothing is dropped of a packed batch", f"{FUNCTION}:_forward", "packing.padded(mask)", "None", "RNN",
     "packed dropout"),
    ("the second derivative forgets a direction", f"{FUNCTION}:_differentiable", "zip(outputs, upstream, strict=True)",
     "[*zip(outputs, upstream, strict=True)][:1]", "GRU", "padded", True),
    ("the projection's gradient is another parameter's", f"{BORROWED}._taken",
     "gradients.extra[self._own.index(field)]", "gradients.extra[self._own.index(field)] * 0", "LSTM", "projected"),
)  # fmt: skip


def module_as_torchs(*how: str | bool) -> None:
    """As the check of that name, which imports torch: whoever reads the list of bugs alone doesn't."""
    import pytest

    pytest.importorskip("torch")
    from tests.rnn_core.torch.checks import module_as_torchs

    module_as_torchs(*how)


def _bugs() -> Iterator[Mutation]:
    for bug, target, old, new, *how in BUGS:
        yield Mutation(f"inside torch: {bug}", target, old, new, module_as_torchs, tuple(how))


MUTATIONS = (*_bugs(),)
