"""`flower_secure_app`: local clients under secure aggregation, of which a server sees the sum and no single reply.

SecAgg+ is Flower's: each client adds masks to its arrays, which cancel in the sum over all of them, and if a client
drops out the others' shares of its keys take its masks away. Flower has it for clients of its older kind, whose arrays
come in order and without names; a client here is of that kind, and the order is that of `shared_arrays`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .client import LocalClient
from .flower import flower_module, made_client


def flower_secure_app(make_client: Callable[[Any], LocalClient], *, mods: Iterable[Any] | None = None) -> Any:
    """Return a Flower ``ClientApp`` of local clients for ``SecAggPlusWorkflow``.

    Parameters
    ----------
    make_client : callable
        As for `flower_app`. Numbers of targets must be whole: counts, and no sums of fractional weights.
    mods : iterable of callable, optional
        Flower's modifiers of its older kind; by default ``secaggplus_mod`` alone.

    Returns
    -------
    app : flwr.clientapp.ClientApp

    Raises
    ------
    RuntimeError
        Flower, or what it has for older clients, is missing.
    TypeError
        `make_client` can't be called.

    Notes
    -----
    The server can't look at single replies, and so neither can `FlowerGuard`. What stays is that a `LocalClient` sends
    no NaN: it reports an error, and the protocol goes on without it while enough others are left.

    References
    ----------
    J. H. Bell and others, "Secure single-server aggregation with (poly)logarithmic overhead", CCS 2020 (SecAgg+).
    """
    where = "flower_secure_app"
    if not callable(make_client):
        raise TypeError(f"{where}: make_client must be a function of the context, got {type(make_client).__name__}")
    base: Any = flower_module(where, "client").NumPyClient
    chosen = [flower_module(where, "client.mod").secaggplus_mod] if mods is None else list(mods)

    class InOrder(base):
        """A client whose arrays have no names."""

        def __init__(self, client: LocalClient) -> None:
            self.client = client

        def get_parameters(self, config: Any) -> list[np.ndarray]:
            return list(self.client.get().values())

        def fit(self, parameters: list[np.ndarray], config: Any) -> tuple[list[np.ndarray], int, dict[str, Any]]:
            update = self.client.fit(_named(where, self.client, parameters))
            count = _whole(where, update.count)
            return list(update.arrays.values()), count, {"loss": float(update.history[-1].loss)}

        def evaluate(self, parameters: list[np.ndarray], config: Any) -> tuple[float, int, dict[str, Any]]:
            score = self.client.evaluate(_named(where, self.client, parameters))
            metrics = {} if score.accuracy is None else {"accuracy": float(score.accuracy)}
            return float(score.loss), _whole(where, score.count), metrics

    def client_fn(context: Any) -> Any:
        return InOrder(made_client(where, make_client, context)).to_client()

    return flower_module(where, "clientapp").ClientApp(client_fn=client_fn, mods=chosen)


def _named(where: str, client: LocalClient, parameters: list[np.ndarray]) -> dict[str, np.ndarray]:
    """Return arrays in order by the names of what the client shares, in the dtypes that its model has."""
    if len(parameters) != len(client.shared):
        raise ValueError(
            f"{where}: the server must send {len(client.shared)} arrays, {', '.join(client.shared)}, got "
            f"{len(parameters)}; all sides must share the same core"
        )
    # The sum of masked integers comes back in float64, whatever the clients compute in.
    named = zip(client.shared, parameters, strict=True)
    return {name: np.asarray(array).astype(client.model.parameters[name].dtype) for name, array in named}


def _whole(where: str, count: float) -> int:
    if count != int(count):
        raise ValueError(
            f"{where}: the number of targets must be whole under secure aggregation, got {count}; "
            "give Examples no weights, or whole ones"
        )
    return int(count)
