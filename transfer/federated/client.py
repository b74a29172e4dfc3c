"""Federated fine-tuning: clients share a core, and each keeps its data and its head.

A round trains every client k on its own data D_k, from the shared parameters θ and its own φ_k, and averages what is
shared by the number of targets n_k; what is a client's own stays there from round to round::

    θ_k, φ_k = fit(θ, φ_k; D_k)        (X40)
    θ ← Σ_k n_k θ_k / Σ_k n_k          (X41)

This is data locality: examples do not leave their client. It is not privacy: parameters do, and can tell of examples.

References
----------
.. [1] B. McMahan and others, "Communication-efficient learning of deep networks from decentralized data", AISTATS
   2017, algorithm 1 (FedAvg).
.. [2] M. G. Arivazhagan and others, "Federated learning with personalization layers", arXiv:1912.00818.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from rnn_core import weights
from rnn_core.data import Batch, Repeated
from rnn_core.data.batches import checked_source
from rnn_core.data.source import Source
from rnn_core.layers.checks import check_seed, positive_int
from rnn_core.models import Model
from rnn_core.models.base import Step
from rnn_core.training import History, Optimizer, fit
from rnn_core.weights.file import opened

from ..parameters.groups import Patterns, checked_model, chosen
from ..planning.plan import Plan
from .averaging import fitting, shared_arrays, write

VERSION = "1"
"""Of the file in which a client keeps what is its own."""


class LocalUpdate(NamedTuple):
    """What a client sends back from a round.

    Attributes
    ----------
    arrays : dict of str to ndarray
        What is shared, after local training.
    count : float
        n_k: how many targets an epoch has, the examples of a classifier, or the sum of their weights.
    history : History
        Of the local training.
    """

    arrays: dict[str, np.ndarray]
    count: float  # type: ignore[assignment]  # a tuple's method of this name is of no use here
    history: History


class LocalScore(NamedTuple):
    """What a client says of shared arrays.

    Attributes
    ----------
    loss : float
        Mean over the client's validation targets.
    accuracy : float or None
        Share of them that were predicted right; None where targets are numbers, which are neither right nor wrong.
    count : float
        How many they are, or the sum of their weights.
    """

    loss: float
    accuracy: float | None
    count: float  # type: ignore[assignment]  # as above


class LocalClient:
    """One client: a model whose core is shared, data that stay here, and whatever is the client's own.

    Parameters
    ----------
    model : Model
        What is not shared may have another shape on every client: a head for its own classes.
    train : Source
        The client's training batches, such as `Examples`.
    optimizer : Optimizer
        It begins each round afresh.
    epochs : int
        Epochs a round. From round to round the data go on with the next epoch's order.
    core : str or iterable of str
        Patterns of what is shared, on all sides the same; the rest is the client's own.
    plan : Plan, optional
        What trains, at what rates, held by what anchors: for ``anchors={"rnn.*": alpha}``, to what the round began
        with (FedProx). An unfreezing or a schedule is not possible.
    validation : Source, optional
        For `evaluate`.
    clip_norm : float, optional
        As for `fit`.
    seed : int
        For the dropout.
    path : path, optional
        File for what is the client's own. It is written after each round, whole or not at all, and read if it is there:
        a client that was restarted goes on. Remove it to begin afresh. Without it, heads live as long as this object.

    Attributes
    ----------
    rounds : int
        How many rounds this client has trained, those before a restart included.

    Raises
    ------
    ValueError
        There is no batch, a pattern or a number won't do, or the file is not one of this client.
    TypeError
        An argument is of the wrong type.
    OSError
        The file can't be read or written.

    References
    ----------
    T. Li and others, "Federated optimization in heterogeneous networks", MLSys 2020, equation 2 (FedProx).
    """

    def __init__(
        self,
        model: Model,
        train: Source,
        *,
        optimizer: Optimizer,
        epochs: int = 1,
        core: Patterns = "rnn.*",
        plan: Plan | None = None,
        validation: Source | None = None,
        clip_norm: float | None = None,
        seed: int = 0,
        path: str | os.PathLike[str] | None = None,
    ) -> None:
        where = "LocalClient"
        self.model, self.train, self.validation = checked_model(where, model), train, validation
        sources = {"train": train} if validation is None else {"train": train, "validation": validation}
        for name, source in sources.items():
            checked_source(where, name, source)
        self.shared = chosen(where, "core", model, core)
        self.own = tuple(name for name in model.parameters if name not in self.shared)
        self.optimizer, self.epochs = optimizer, positive_int(where, "epochs", epochs)
        self.plan = Plan() if plan is None else plan
        if not isinstance(self.plan, Plan):
            raise TypeError(f"{where}: plan must be a Plan or None, got {type(plan).__name__}")
        self.plan.resolve(model)  # its errors before the first round
        self.clip_norm, self.seed = clip_norm, check_seed(where, seed) or 0
        self.path, self.rounds = path, 0
        if path is not None and os.path.exists(path):
            self._read(path)
        else:
            self._keep(0)  # a file that can't be written ends here, not after a round

    def get(self) -> dict[str, np.ndarray]:
        """Return copies of the shared parameters as the model has them now, by name and on the host."""
        return shared_arrays(self.model, self.shared)

    def fit(self, arrays: Mapping[str, np.ndarray]) -> LocalUpdate:
        """Train from shared arrays on the client's data: (X40).

        Parameters
        ----------
        arrays : mapping of str to ndarray
            What the server sent.

        Returns
        -------
        update : LocalUpdate
            What goes back; the client's own parameters are not in it.

        Raises
        ------
        ValueError
            The arrays don't fit, or hold NaN or infinity; or training ran away. Model and file are as they were.
        TypeError
            An array is of a dtype that its parameter can't hold.
        OSError
            The file can't be written. Model and file are as they were.
        """
        values = fitting("LocalClient.fit", "arrays", self.model, self.shared, arrays)
        start = self.model.state_dict()
        counted = Counted(self.model)
        done = self.rounds
        try:
            write(self.model, values)
            history = fit(  # (X40)
                counted,
                Repeated(self.train, len(self.train), start=done * self.epochs * len(self.train)),
                optimizer=self.optimizer,
                epochs=self.epochs,
                clip_norm=self.clip_norm,
                updates=self.plan.resolve(self.model),
                # Without one of its own, each round would draw the same dropout masks again.
                seed=int(np.random.SeedSequence([self.seed, done]).generate_state(1)[0]) if done else self.seed,
                progress=False,
            )
            self._keep(done + 1)
        except BaseException:
            write(self.model, start)
            raise
        return LocalUpdate(self.get(), counted.targets / self.epochs, history)

    def evaluate(self, arrays: Mapping[str, np.ndarray]) -> LocalScore:
        """Return how well shared arrays do together with the client's own, on its validation data.

        The model is left with these shared arrays. Parameters and errors are those of `fit`; besides, a client without
        validation data is a ValueError.
        """
        where = "LocalClient.evaluate"
        if self.validation is None:
            raise ValueError(f"{where}: validation must be given to LocalClient, got None; Examples makes batches")
        write(self.model, fitting(where, "arrays", self.model, self.shared, arrays))
        loss, count, state = 0.0, 0.0, None
        correct: float | None = 0.0
        for index in range(len(self.validation)):
            batch = self.validation.batch(0, index)
            result = self.model.evaluate(batch, state=state if batch.carry else None)
            loss, count, state = loss + result.loss, count + result.count, result.state
            correct = None if correct is None or result.correct is None else correct + result.correct
        return LocalScore(loss / count, None if correct is None else correct / count, count)

    def _keep(self, rounds: int) -> None:
        """Write down what is the client's own, if there is a file for it, and then that a round is over."""
        if self.path is not None:
            own = {name: self.model.parameters[name] for name in self.own}
            weights.save(own, self.path, metadata={"local_client": VERSION, "rounds": str(rounds)})
        self.rounds = rounds

    def _read(self, path: str | os.PathLike[str]) -> None:
        """Go on with what `_keep` wrote."""
        with opened("LocalClient", path) as contents:
            rounds = contents.metadata.get("rounds", "")
            if contents.metadata.get("local_client") != VERSION or not re.fullmatch("[0-9]{1,18}", rounds):
                raise ValueError(
                    f"LocalClient: path must be a file that a LocalClient wrote, got {contents.path!r}, which is "
                    "another safetensors file; name another one"
                )
            arrays = contents.arrays()
        write(self.model, fitting("LocalClient", f"the arrays in {contents.path!r}", self.model, self.own, arrays))
        self.rounds = int(rounds)


class Counted:
    """A model for `fit` that counts the targets of its steps: n_k is what the local mean is over."""

    def __init__(self, model: Model) -> None:
        self.parameters, self.frozen, self.config = model.parameters, model.frozen, model.config
        self.model, self.evaluate, self.targets = model, model.evaluate, 0.0

    def loss_and_gradients(self, batch: Batch, *, state: Any, needs: Any, rng: Any) -> Step:
        """Return what the model does."""
        step = self.model.loss_and_gradients(batch, state=state, needs=needs, rng=rng)
        self.targets += step.count
        return step
