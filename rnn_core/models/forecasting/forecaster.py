"""`Forecaster`: what comes next in a series, with how sure it is?

::

    x_t = [m_t u_t, m_t, …]                 what is read at step t              (FC1), (FC2)
    y_t = core(x_t, state)                  RNN, LSTM or GRU
    z   = W_v (m ⊙ y_C) + b_v               all h steps from the last state, or           (D1), (F1)
    z_t = W_v (m ⊙ y_t) + b_v               step t + 1 from each state                    (D1), (F1)

z has K numbers for each step that is asked for: a mean, a mean and a scale (FC3), or quantiles.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from kernels.contract import Array

from ...data.batches import Batch
from ...data.forecasting import Encoding, Windows, WindowSpec
from ...foreign import shown
from ...layers.base import generator
from ...layers.checks import check_array, positive_int
from ...layers.home import move, to_host
from ...training.losses import SquaredError
from ...training.losses.distributions import checked_levels
from ..base import Evaluation
from ..inputs import as_targets, total
from ..single_head import SingleHead
from ..trunk import Tape, arguments
from .ahead import Forecast, empirical, fed_back, in_units
from .answers import answer_of


class Forecaster(SingleHead):
    """Forecasts one or many series, with covariates, from windows of them.

    A batch's targets, (B, A), are scaled values, its weights (B, A), 0 where a value is missing; `Windows` makes them.
    A is h for all steps at once; for one step that is fed back it is T, the next value for each step that is read.

    Parameters
    ----------
    window : WindowSpec, or mapping
        How far it looks back and ahead, what it reads, and the scaling; or what `WindowSpec.to_dict` has.
    hidden_size : int
        H.
    loss : {"gaussian", "squared", "quantiles"}
        What is said of each step: a normal distribution, a mean, or quantiles.
    quantiles : sequence of float, optional
        Their levels, with ``loss="quantiles"`` alone; 0.1, 0.5 and 0.9 by default.
    num_layers : int
        Cells stacked on one another.
    cell : {"rnn", "lstm", "gru"}
    nonlinearity : {"tanh", "relu", "sigmoid"}
        Of the vanilla RNN alone.
    cell_options : mapping, optional
        What else the recurrent layer takes by keyword, such as a cell's own options: ``{"alpha": 0.3}``.
    dropout : float
        Probability, at least 0 and below 1, that a unit is dropped on its way between layers and to the head.
    backend : {"numpy", "cpu", "cuda"}, optional
        Where the core runs, and so where all arrays live; the best one present on the host by default.
    dtype : dtype
        float32 or float64 (complex128 for the complex step).
    precision : {"float32", "bfloat16"}
        In what core and head multiply; see `LSTM` and `Linear`. All else is in `dtype`.
    seed : int, optional
        Draws the parameters.

    Attributes
    ----------
    window : WindowSpec
        Saved with the model, its scaling to the last bit.

    Raises
    ------
    ValueError
        A size is below 1, a probability is not one, an option has no such value, or levels don't rise.
    TypeError
        A size is not an int, or the dtype is none of the above.
    RuntimeError
        The backend is not available; the message says why.

    Notes
    -----
    Parameters: ``rnn.…`` as `RNN`, `LSTM` or `GRU`, ``head.weight`` (h·K or K, H) and ``head.bias``.

    References
    ----------
    D. Salinas, V. Flunkert, J. Gasthaus, "DeepAR", arXiv:1704.04110v3: one step, fed back, and paths that are drawn.
    R. Wen, K. Torkkola, B. Narayanaswamy, D. Madeka, "A multi-horizon quantile recurrent forecaster",
    arXiv:1711.11053v2: all steps at once.
    """

    def __init__(
        self,
        window: WindowSpec | Mapping[str, Any],
        hidden_size: int,
        *,
        loss: str = "gaussian",
        quantiles: Sequence[float] | None = None,
        num_layers: int = 1,
        cell: str = "lstm",
        nonlinearity: str = "tanh",
        cell_options: Mapping[str, Any] | None = None,
        dropout: float = 0.0,
        backend: str | None = None,
        dtype: Any = np.float32,
        precision: str = "float32",
        seed: int | None = None,
    ) -> None:
        name = "Forecaster"
        if not isinstance(window, WindowSpec | Mapping):
            raise TypeError(f"{name}: window must be a WindowSpec, got {shown(window)}; WindowSpec.fit makes one")
        self.window = window if isinstance(window, WindowSpec) else WindowSpec.from_dict(window)
        self.answer = answer_of(name, loss, quantiles)
        self._at_once = self.window.strategy == "multioutput"
        outputs = self.answer.outputs * (self.window.horizon if self._at_once else 1)
        built = self._build(
            name, {"head": (outputs, "last" if self._at_once else None)}, hidden_size=hidden_size,
            input_size=self.window.features, num_layers=num_layers, cell=cell, nonlinearity=nonlinearity,
            dropout=dropout, backend=backend, dtype=dtype, precision=precision, seed=seed, bidirectional=False,
            cell_options=cell_options,
        )  # fmt: skip
        self.hidden_size = built["hidden_size"]
        self.loss = self.answer.loss
        levels = list(self.answer.levels) if loss == "quantiles" else None
        told = {**built, "window": self.window.to_dict(), "loss": loss, "quantiles": levels}
        self.config = arguments(Forecaster, told)

    def __call__(self, x: Array, lengths: Any = None) -> Array:
        """Return outputs without keeping a tape; dropout is off.

        Parameters and errors are `forward`'s; the result is its first value.
        """
        return self._logits(self._infer("Forecaster.__call__", self._branch, x, None, lengths)[0])

    def forward(
        self, x: Array, lengths: Any = None, *, rng: np.random.Generator | int | None = None
    ) -> tuple[Array, Tape]:
        """Run the model for training: dropout is on, and a tape is kept for `backward`.

        Parameters
        ----------
        x : ndarray, shape (B, T, I)
            What is read at each step, as `Windows` has it, of the model's dtype.
        lengths : array of int, shape (B,), optional
            Valid steps of each row.
        rng : Generator or int, optional
            Draws the dropout masks; the same int, the same masks. Without it every call differs.

        Returns
        -------
        outputs : ndarray, shape (B, A, K), or (B, A) for squared error
            A is h, or T for one step that is fed back; in the network's units.
        tape : Tape
            For `backward`. It refers to x: don't change x in between.

        Raises
        ------
        ValueError
            x has another shape, a value in it is NaN or infinite, or a length is not as required.
        TypeError
            Lengths are not integers, or the dtype of x is not the model's.
        """
        z, _, tape = self._forward("Forecaster.forward", self._branch, x, None, lengths, rng)
        return self._logits(z), tape

    def backward(
        self, tape: Tape, doutputs: Array, needs: Iterable[str] | None = None
    ) -> tuple[Array | None, dict[str, Array]]:
        """Gradients of a loss L from ∂L/∂outputs.

        Parameters
        ----------
        tape : Tape
            From `forward`; it can be used any number of times.
        doutputs : ndarray, shape of outputs
        needs : set of str, optional
            Wanted gradients out of `gradient_names`; all by default. What is left out is not computed.

        Returns
        -------
        dx : ndarray, shape (B, T, I), or None
            None if not wanted.
        grads : dict of str to ndarray
            ∂L/∂parameter for each wanted parameter.

        Raises
        ------
        ValueError, TypeError
            A shape, a dtype or a value (NaN, infinity) is not as required, or a name in `needs` doesn't exist.
        """
        where = "Forecaster.backward"
        if isinstance(tape, Tape):
            z_shape = (*tape.head.x.shape[:-1], self.head.out_features)
            shape = self._shape(z_shape)
            doutputs = check_array(where, "doutputs", doutputs, shape, self.dtype, xp=self.namespace)
            doutputs = array_namespace(doutputs).reshape(doutputs, z_shape)
        dx, _, grads = self._from_logits(where, "second", tape, doutputs, None, needs)
        return dx, grads

    def forecast(
        self,
        series: Any,
        horizon: int | None = None,
        *,
        quantiles: Sequence[float] | None = None,
        residuals: np.ndarray | None = None,
        samples: int = 500,
        rng: np.random.Generator | int | None = 0,
    ) -> Forecast:
        """Forecast what comes behind the end of each series.

        Parameters
        ----------
        series : TimeSeries, or sequence of them
            N series, at least as long as the context; what is known in advance must reach over the horizon.
        horizon : int, optional
            Steps; the window's by default, and at most those where all are said at once.
        quantiles : sequence of float, optional
            Levels, rising. By default those that the loss brings.
        residuals : ndarray, shape (n, h), optional
            What `residuals` returned. The quantiles are then theirs, around the forecast; with squared error there are
            none without.
        samples : int
            Paths that are drawn where a step is fed back: their quantiles are the forecast's.
        rng : Generator or int, optional
            Draws them. The same int, the same paths.

        Returns
        -------
        Forecast
            Its mean is fed back without noise.

        Raises
        ------
        ValueError
            A series is too short, nothing was seen in its last steps, a covariate is not known over the horizon, the
            scale of a series is not known, the horizon is beyond what is said at once, or a level is out of range.
        TypeError
            A number is no int, or something is no series.
        """
        where = "Forecaster.forecast"
        h = self.window.horizon if horizon is None else positive_int(where, "horizon", horizon)
        if self._at_once and h > self.window.horizon:
            raise ValueError(
                f"{where}: horizon must be at most the {self.window.horizon} steps that are said at once, got {h}; "
                "strategy='recursive' goes as far as one likes"
            )
        if residuals is not None and (residuals.ndim != 2 or residuals.shape[1] < h):
            raise ValueError(
                f"{where}: residuals must have shape (n, {h}), a column for each step, got {residuals.shape}"
            )
        levels = self.answer.levels if quantiles is None else checked_levels(where, quantiles)
        if residuals is not None and quantiles is None and not levels:
            levels = RESIDUAL_LEVELS
        samples, rng = positive_int(where, "samples", samples), generator(rng, where)
        encoding = Encoding(where, series, self.window)
        rows, origins = encoding.ends(where, h)
        z, location, scale = self._ahead(where, encoding, rows, origins, h)
        point = self.answer.point(z)
        if residuals is not None:
            said = point[..., None] + empirical(residuals[:, :h], levels, 0)
        elif not levels:
            said = np.empty((*point.shape, 0))
        elif self._at_once:
            said = self.answer.quantiles(where, z, levels)
        else:
            draw = lambda z: self.answer.draw(where, z, rng)
            _, paths = fed_back(self._says(where), encoding, rows, origins, h, draw, copies=samples)
            said = empirical(paths.reshape(len(rows), samples, h), levels, 1)
        names = tuple(one.name for one in encoding.series)
        return Forecast(names, in_units(point, location, scale), levels, in_units(said, location, scale))

    def residuals(self, windows: Windows) -> np.ndarray:
        """Return what windows had in the place of their forecasts, less these, (n, h), NaN where a value is missing.

        They are in the network's units. Of windows that the model was trained on they are too small: hand over those
        with ``last=…``, behind the training part. What they spread is what a forecast's will, if the future is as the
        past was [1]_.

        References
        ----------
        .. [1] J. Lei et al., "Distribution-free predictive inference for regression", arXiv:1604.04173v2, algorithm 2.
        """
        if not isinstance(windows, Windows):
            raise TypeError(f"Forecaster.residuals: windows must be Windows, got {type(windows).__name__}")
        encoding = Encoding("Forecaster.residuals", windows.encoding.series, self.window)
        h = self.window.horizon
        z, _, _ = self._ahead("Forecaster.residuals", encoding, windows.rows, windows.origins, h)
        truth = encoding.take(windows.rows, windows.origins, ahead=True)
        found = truth.targets[:, -h:] - self.answer.point(z)
        return np.where(truth.observed[:, -h:], found, np.nan)

    def _ahead(
        self, where: str, encoding: Encoding, rows: np.ndarray, origins: np.ndarray, h: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the outputs (B, h, K) for the steps behind windows, on the host, and their μ and ν."""
        found = encoding.take(rows, origins, ahead=False)
        says = self._says(where)
        if self._at_once:
            z = says(found.x, None)[0].reshape(len(rows), -1, self.answer.outputs)[:, :h]
        else:
            z, _ = fed_back(says, encoding, rows, origins, h, self.answer.point)
        return z, found.location, found.scale

    def _says(self, where: str) -> Any:
        """Return what maps (x, state) to the head's last numbers, in float64 on the host, and the state."""

        def says(x: np.ndarray, state: Any) -> tuple[np.ndarray, Any]:
            x = move(x.astype(self.dtype), self.namespace)
            z, state = self._infer(where, self._branch, x, state, None)
            return np.asarray(to_host(z if self._at_once else z[:, -1]), np.float64), state

        return says

    def _shape(self, z_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the outputs, of the head's."""
        K = self.answer.outputs
        shape = (z_shape[0], z_shape[-1] // K) if self._at_once else tuple(z_shape[:-1])
        return shape if isinstance(self.loss, SquaredError) else (*shape, K)

    def _logits(self, z: Array) -> Array:
        return array_namespace(z).reshape(z, self._shape(tuple(z.shape)))

    def _targets(self, where: str, batch: Batch, logits: Array) -> tuple[Array, Array | None]:
        if self._at_once:  # lengths are those of what is read
            batch = batch._replace(lengths=None)
        why = ", a value for each step that is asked for"
        return as_targets(where, batch, tuple(logits.shape[:2]), array_namespace(logits), why=why)

    def _score(self, where: str, batch: Batch, z: Array, state: Any = None) -> Evaluation:
        """Return the summed loss; numbers are neither right nor wrong."""
        outputs = self._logits(z)
        targets, weights = self._targets(where, batch, outputs)
        loss, _ = self.loss.forward(outputs, targets, weights)
        count = total(weights, targets.shape)
        return Evaluation(loss.item() * count, count, None, state)


RESIDUAL_LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
"""Quantiles of residuals that are told without being asked for."""
