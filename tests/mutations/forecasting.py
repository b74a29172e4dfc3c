"""Bugs in windows, scaling, the losses of forecasts, their feedback and their scores."""

from __future__ import annotations

from tests import forecasting_checks as checks

from .mutation import Mutation

WINDOWS = "rnn_core.data.forecasting.windows:Windows"
ENCODING = "rnn_core.data.forecasting.encoding:Encoding"
LOSSES = "rnn_core.training.losses.distributions"
SCORES = "rnn_core.scores.forecasts"

MUTATIONS = (
    Mutation(
        "windows: the last window is dropped", f"{WINDOWS}._origins", "np.arange(T - h, first",
        "np.arange(T - h - 1, first", checks.every_window_is_there, (),
    ),
    Mutation(
        "windows: the stride is counted from the beginning", f"{WINDOWS}._origins",
        "np.arange(T - h, first - 1, -self.stride)[::-1]", "np.arange(first, T - h + 1, self.stride)",
        checks.every_window_is_there, (3,),
    ),
    Mutation(
        "windows: a missing target counts", f"{WINDOWS}.batch", "counted = found.observed",
        "counted = np.ones_like(found.observed)", checks.missing_counts_nothing, ("multioutput", "gaussian"),
    ),
    Mutation(
        "windows: scaled by what is asked for", f"{ENCODING}.take", "y[:, :C])", "y)",
        checks.scales_by_hand, ("window",),
    ),
    Mutation(
        "scaling: fitted on everything", f"{SCORES}:backtest", "method(cut)", "method(found)",
        checks.backtest_fits_before_the_origin, (False,),
    ),
    Mutation(
        "scaling: missing values count as zeros", "rnn_core.data.forecasting.scaling:pairs_of", "n = seen.sum(axis=1)",
        "n = np.full(len(values), values.shape[1])", checks.scales_by_hand, ("standard",),
    ),
    Mutation(
        "windows: past covariates are read behind the context", f"{ENCODING}.take", "past[:, C:] = 0",
        "past[:, S:] = 0", checks.past_covariates_end_with_the_context, ("recursive",),
    ),
    Mutation(
        "windows: covariates of this step and not of the next", f"{ENCODING}._features", "np.arange(1, asked + 1)",
        "np.arange(asked)", checks.known_covariates_are_those_asked_about, ("recursive",),
    ),
    Mutation(
        "Gaussian: the scale's gradient lacks the squared residual", f"{LOSSES}:GaussianLikelihood.forward",
        "(1 - r * r) / sigma", "1 / sigma", checks.loss_gradients, ("gaussian",),
    ),
    Mutation(
        "Gaussian: softplus has no slope", f"{LOSSES}:GaussianLikelihood.forward", "dsigma * slope", "dsigma",
        checks.gradients, ("multioutput", "gaussian"),
    ),
    Mutation(
        "quantiles: the sign of the residual is turned", f"{LOSSES}:QuantileLoss.forward",
        "short = t[..., None] - outputs", "short = outputs - t[..., None]", checks.loss_gradients, ("quantiles",),
    ),
    Mutation(
        "forecast: the location is not put back", "rnn_core.models.forecasting.ahead:in_units",
        "location.reshape(shape) + ", "", checks.forecasts_keep_their_units, ("window", "multioutput"),
    ),
    Mutation(
        "feedback: the first forecast is read at every step", "rnn_core.models.forecasting.ahead:fed_back",
        "chosen[-1]), state)", "chosen[0]), state)", checks.fed_back_is_the_closed_form, (),
    ),
    Mutation(
        "MASE: the denominator is of one step", f"{SCORES}:seasonal_error", "abs(y[m:] - y[:-m])",
        "abs(y[1:] - y[:-1])", checks.mase_by_hand, (4,),
    ),
    Mutation(
        "seasonal naive: a season too late", f"{SCORES}:seasonal_naive", "len(y) + k % m - m", "len(y) - 1 - k % m",
        checks.seasonal_naive_by_hand, (3,),
    ),
    Mutation(
        "pinball: levels are turned", f"{SCORES}:pinball", "np.where(short >= 0,", "np.where(short < 0,",
        checks.pinball_by_hand, (),
    ),
)  # fmt: skip
