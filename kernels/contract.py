"""The ground floor: the names, shapes and order of the gates that every backend of the recurrent core shares.

A backend is a module with two things,

1. `NAME`, the word a user writes in ``backend=``.
2. `cell(name, precision="float32")`, which returns a `Cell` for each name in `CELLS` and each of `PRECISIONS`.

and, where it needs them, functions more: `namespace()`, the module whose arrays it takes (NumPy without it),
`missing()`, "" or the reason why it can't be used on this machine, and `prepare(name, stack, precision)`, which returns
a `Prepared`: a quicker way through small calls (of a cell that a user has defined, the name is its definition). A
backend that can compute with weights in int8 has another two, `quantized_cell(name)` and `quantized_affine()`: a
`QuantizedCell` and a `QuantizedAffine`; its `prepare` takes stacks of what the `QuantizedCell` has prepared, too.

It may have, besides, what a model's step needs around the core; whoever asks goes on without where there is none:

- `multiply(precision="float32")`, which returns a `Multiply`: a product of two matrices in its own threads.
- `softmax_head(precision="float32")`, which returns a `SoftmaxHead`: cross-entropy of an affine map, without logits.
- `update_kernels()`, which returns `UpdateKernels`: norms and optimizers, of all parameters at once.
- `defined_cell(definition, precision="float32")`, which returns a `DefinedCell`: a cell that a user has defined
  (definition.py).
- `ACROSS`, True where it does so also if the definition has operations across the units of a row.
- `ALONE`, True where a row's bits depend on how many rows are beside it and a loop over rows is bearable: episodes of a
  batch are then computed one by one.

A `Cell` has four functions, of which one, `states`, only reads a tape. For each of them:

3. Arrays are time-major, C-contiguous or not, of one dtype; results have the same dtype, and are fresh.
4. What comes in is never changed. A tape may refer to what came in.
5. `lengths` is None or an integer array with 1 ≤ lengths[b] ≤ T. Past a row's length y is zero, the state stands
   still, and whatever x or dy hold there has no influence on anything.
6. An upstream gradient that is None stands for zeros.
7. `needs` holds names out of `gradient_names(cell)`. What it leaves out is returned as None and not computed.
8. dX is always ∂L/∂X for the whole call: summed over time and, for parameters, over the batch.
9. A tape is opaque to the caller, and can be used by `backward` any number of times.
10. In precision "bfloat16" arrays are float32, and what products read is rounded to bfloat16: weights, x, h_{t−1} and
    da ((BF1) and (BF2) in docs/equations.md), and both factors of a product within a step; sums, gates, states and
    gradients are float32.
11. `states(tape)` returns every state at every step, (T, B, H) each, zero past a row's length; their upstream gradients
    are `dstates`, None or one for each state; that of the first stays None, because it is dy.

A cell may have, besides, an attribute `cuts`, True where it takes a `Cut` in the place of `lengths`.

A `DefinedCell` has the same four, with `DefinedParameters`, and more:

12. `streams` are numbers that come with each step, (T, B, H) each. They have no gradient, and a tape may refer to
    them, too: whoever writes into them before `backward` changes what that reads.

A `SoftmaxHead` has two functions. For each of them 4, 7 and the following:

13. x (N, K), weight (V, K) and bias, (V,) or None, are of one dtype and not empty; `targets` (N,) are int64 in
    0 … V − 1. Results are fresh, and have the same dtype, but for the losses: those are float64.
14. With z = x Wᵀ + b, losses[n] = log Σ_k exp(z_nk) − z_{n,t_n}. It is not finite where a z_nk is not, or is too large
    to tell; then gradients mean nothing.
15. Memory beyond the results is bounded: there is no array (N, V).
16. In precision "bfloat16" arrays are float32, and what products read is rounded to bfloat16: x, weight and ∂L/∂z.
    Scores, maxima, exponentials, sums and gradients are float32. A `Multiply` rounds its two factors and no more.

Dimensions:

===  =====================================
T    time steps
B    batch: sequences side by side
I    input size
H    hidden size
N    rows of numbers, of a head
K    numbers of such a row
V    classes
G    gates: RNN 1, GRU 3, LSTM 4
===  =====================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

Array = Any
"""An array of any namespace: NumPy's, CuPy's, …"""

State = tuple[Array, ...]
"""The state of a cell: (h,) or, for LSTM, (h, c); each of shape (B, H)."""


class Parameters(NamedTuple):
    """The parameters of one layer in one direction, or their gradients: torch's names and shapes."""

    weight_ih: Array  # (G·H, I)
    weight_hh: Array  # (G·H, H)
    bias_ih: Array | None  # (G·H,), None for a layer without biases
    bias_hh: Array | None  # (G·H,)


class Cut(NamedTuple):
    """A batch (T, B, ·) cut into S segments, each a sequence of its own: states are (S, H), all else stays (T, B, ·).

    No place is in two segments. In a place that is in none y is zero, and what stands there has no influence.
    """

    row: Array  # int64 (S,): the row of the batch
    begin: Array  # int64 (S,): the first step
    steps: Array  # int64 (S,): how many there are, at least one


class DefinedParameters(NamedTuple):
    """The same of a cell that a user has defined: rows of the weights belong to its `from_x` and `from_h`."""

    weight_ih: Array  # (rows, I)
    weight_hh: Array | None  # (rows, H), None where there is no such product
    bias_ih: Array | None  # (rows,), None for a layer without biases
    bias_hh: Array | None  # (rows,), None likewise, and where there is no weight_hh
    extra: tuple[Array | None, ...] = ()
    """Its vectors, its constants, (H,) each, and its matrices, (H, H); of gradients its vectors and its matrices."""


class QuantizedParameters(NamedTuple):
    """The same in int8: each row of a weight has a scale, and stands for scale·row."""

    weight_ih: Array  # int8 (G·H, I), −127 to 127
    weight_ih_scale: Array  # float32 (G·H,)
    weight_hh: Array  # int8 (G·H, H)
    weight_hh_scale: Array  # float32 (G·H,)
    bias_ih: Array | None  # float32 (G·H,), None for a layer without biases
    bias_hh: Array | None  # float32 (G·H,)


class RNNGates(NamedTuple):
    """The one block of a vanilla RNN."""

    h: Any


class LSTMGates(NamedTuple):
    """The gates of an LSTM, in the order in which their rows stand in the weights."""

    i: Any  # input gate
    f: Any  # forget gate
    g: Any  # candidate
    o: Any  # output gate


class GRUGates(NamedTuple):
    """The gates of a GRU, in the order in which their rows stand in the weights."""

    r: Any  # reset gate
    z: Any  # update gate
    n: Any  # candidate


class CellSpec(NamedTuple):
    """What distinguishes one kind of cell from another, seen from outside."""

    gates: Callable[..., Any]  # the NamedTuple that names the gates in order
    states: tuple[str, ...]  # names of the states
    vectors: tuple[str, ...] = ()  # parameters of one number a unit, (H,)

    @property
    def gate_count(self) -> int:
        """G, the number of blocks of H rows in each weight."""
        return len(self.gates._fields)  # type: ignore[attr-defined]

    def blocks(self, hidden_size: int) -> Any:
        """Slices of the G·H axis, one a gate, by name: ``blocks(H).f`` is the forget gate's."""
        return self.gates(*(slice(k * hidden_size, (k + 1) * hidden_size) for k in range(self.gate_count)))


RNN = CellSpec(RNNGates, ("h",))
LSTM = CellSpec(LSTMGates, ("h", "c"))
GRU = CellSpec(GRUGates, ("h",))

CELLS = {"rnn_tanh": RNN, "rnn_relu": RNN, "rnn_sigmoid": RNN, "lstm": LSTM, "gru": GRU}
"""Every cell a backend provides, by name."""


LONGEST_ROW = (2**31 - 1) // 127**2
"""The most numbers of a row in int8 whose sum of products is sure to fit into int32."""

PRECISIONS = ("float32", "bfloat16")
"""In what products read their operands: as they are, which may be float64 too, or rounded to bfloat16."""


def check_precision(where: str, precision: str) -> str:
    """Return a precision, if it is one; otherwise raise ValueError."""
    if precision not in PRECISIONS:
        raise ValueError(f"{where}: precision must be 'float32' or 'bfloat16', got {precision!r}")
    return precision


def gradient_names(spec: CellSpec) -> tuple[str, ...]:
    """The names that `needs` may hold for a cell: its input, its initial states, its parameters."""
    return ("x", *(f"{state}0" for state in spec.states), *Parameters._fields, *spec.vectors)


class Cell(Protocol):
    """A layer in one direction: the whole time loop of one cell, as a backend provides it."""

    def infer(self, params: Parameters, x: Array, state0: State, lengths: Array | None = None) -> tuple[Array, State]:
        """Return y (T, B, H) and the state at each row's last valid step; nothing is kept."""

    def forward(
        self, params: Parameters, x: Array, state0: State, lengths: Array | None = None
    ) -> tuple[Array, State, Any]:
        """As `infer`, and a tape: all that `backward` needs."""

    def states(self, tape: Any) -> State:
        """Return every state at every step, (T, B, H) each."""

    def backward(
        self,
        params: Parameters,
        tape: Any,
        dy: Array | None,
        dstate_T: tuple[Array | None, ...],
        needs: frozenset[str],
        dstates: tuple[Array | None, ...] | None = None,
    ) -> tuple[Array | None, tuple[Array | None, ...], Parameters]:
        """Return dx (T, B, I), dstate0 and the parameters' gradients."""


class DefinedCell(Protocol):
    """The same of a cell that a user has defined (definition.py)."""

    def infer(
        self,
        params: DefinedParameters,
        x: Array,
        state0: State,
        lengths: Array | None = None,
        streams: tuple[Array, ...] = (),
    ) -> tuple[Array, State]:
        """Return y (T, B, H) and the states at each row's last valid step; nothing is kept."""

    def forward(
        self,
        params: DefinedParameters,
        x: Array,
        state0: State,
        lengths: Array | None = None,
        streams: tuple[Array, ...] = (),
    ) -> tuple[Array, State, Any]:
        """As `infer`, and a tape."""

    def states(self, tape: Any) -> State:
        """Return every state at every step, (T, B, H) each."""

    def backward(
        self,
        params: DefinedParameters,
        tape: Any,
        dy: Array | None,
        dstate_T: tuple[Array | None, ...],
        needs: frozenset[str],
        dstates: tuple[Array | None, ...] | None = None,
    ) -> tuple[Array | None, tuple[Array | None, ...], DefinedParameters]:
        """Return dx (T, B, I), dstate0 and the parameters' gradients; those of vectors and matrices in `extra`."""


class QuantizedCell(Protocol):
    """A layer in one direction whose weights are int8, for inference.

    Rows of x_t and h_{t−1} are quantised as they come, sums are exact integers, and all else is float32. What
    `prepare` returns is the backend's own, and opaque: it may be as the parameters are, or another order of them.
    """

    def prepare(self, params: QuantizedParameters) -> Any:
        """Return the weights as `infer` reads them; they don't change any more."""

    def infer(self, prepared: Any, x: Array, state0: State, lengths: Array | None = None) -> tuple[Array, State]:
        """Return y (T, B, H) and the state at each row's last valid step."""


class QuantizedAffine(Protocol):
    """y = x·Wᵀ + b over rows, with W in int8."""

    def prepare(self, weight: Array, scale: Array, bias: Array | None) -> Any:
        """Return weight (O, I), scale (O,) and bias (O,) as a call reads them."""

    def __call__(self, prepared: Any, x: Array) -> Array:
        """Return y (N, O) of x (N, I), float32."""


class Desk(Protocol):
    """Memory for an inference of a whole stack, T steps of B sequences: fill in, run, read; one caller at a time."""

    x: Array  # (T, B, I): to be filled in
    states: State  # each (layers·directions, B, H): to be filled in, unless a run begins at zero; then the final ones
    y: Array  # (T, B, directions·H) of the top layer, until the next run

    def run(self, fresh: bool, stamp: object) -> bool:
        """Run all steps; return False, with nothing done, where x or a state holds a NaN or an infinity.

        `fresh` begins at zero, whatever `states` hold. As long as `stamp` is the same object, and not None, the caller
        gives his word that no weight has changed; otherwise they are looked at.
        """


class Prepared(Protocol):
    """A stack of cells whose parameters, [layer][direction], stay the same arrays."""

    def desk(self, T: int, B: int) -> Desk | None:
        """Return a new desk, or None for sizes with which the cells' own `infer` is as quick."""


class Multiply(Protocol):
    """A product of two matrices, of one dtype."""

    def __call__(self, A: Array, B: Array, b: Array | None = None) -> Array:
        """Return A·B + b, of A (M, K), B (K, C) and b (C,). Either matrix may be a transposed view."""


class SoftmaxHead(Protocol):
    """Softmax cross-entropy of an affine map, z = x Wᵀ + b."""

    precision: str  # one of `PRECISIONS`: what its products read

    def losses(self, x: Array, weight: Array, bias: Array | None, targets: Array) -> tuple[Array, Array]:
        """Return the losses (N,), and whether the first of the largest z_nk is the target's (N,)."""

    def gradients(
        self, x: Array, weight: Array, bias: Array | None, targets: Array, dlosses: Array, needs: frozenset[str]
    ) -> tuple[Array, Array | None, Array | None, Array | None]:
        """Return the losses (N,), and from ∂L/∂losses the gradients of "x", "weight" and "bias", as far as needed."""


class AdamStep(NamedTuple):
    """One parameter, what is to change with it, and the numbers of its next step of Adam or AdamW.

    The equations are those of `rnn_core.training.optimizers`, with both corrections taken out of the arrays: `eps` is
    ε √(1 − β₂ᵗ), and `rate` is η √(1 − β₂ᵗ)/(1 − β₁ᵗ).
    """

    p: Array
    g: Array  # shaped as p, or (n, D): the rows that are not zero
    rows: Array | None  # int64 (n,), ascending: which those are
    m: Array
    v: Array
    scale: float  # of the gradient, first of all (C2)
    decay: float  # λ of (O1)
    keep: float  # 1 − ηλ of (O5)
    beta1: float
    beta2: float
    eps: float
    rate: float
    t: int  # how many steps it is, this one included


class SGDStep(NamedTuple):
    """The same for stochastic gradient descent."""

    p: Array
    g: Array
    rows: Array | None
    u: Array | None  # None without momentum
    scale: float
    decay: float
    momentum: float
    nesterov: bool
    rate: float


class UpdateKernels(Protocol):
    """A backend's own norms and optimizers, of all parameters at once. Arrays that it doesn't take are for NumPy."""

    def takes(self, g: Array, *changed: Array) -> bool:
        """Return whether a gradient, a parameter and what is kept for it can be handed in below."""

    def sums_of_squares(self, arrays: list[Array]) -> list[float]:
        """Return Σ g² of each; not finite if a number isn't, or a square overflows."""

    def adam(self, steps: list[AdamStep]) -> None:
        """Change p, m and v of each step, in place."""

    def sgd(self, steps: list[SGDStep]) -> None:
        """Change p and u of each step, in place."""

    def sums_of_rows(self, vectors: Array, order: Array, starts: Array, ends: Array) -> Array:
        """Return for each k the sum of ``vectors[order[starts[k]:ends[k]]]``."""
