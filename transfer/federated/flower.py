"""`flower_app`: a `LocalClient` as a client of Flower, an engine for federated learning.

Flower carries the messages and averages on the server; see its `flwr.clientapp.ClientApp` and
`flwr.serverapp.strategy.FedAvg`. It is imported only here, and only when a client is made.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from .client import LocalClient


def flower_app(make_client: Callable[[Any], LocalClient], *, mods: Iterable[Any] = ()) -> Any:
    """Return a Flower ``ClientApp`` that trains and evaluates local clients.

    Parameters
    ----------
    make_client : callable
        From Flower's ``Context`` to the `LocalClient` of that node. Flower calls it for each message, so that the
        client must have a `path`, one for each node and run.
    mods : iterable of callable
        Flower's modifiers of what trains, the first outermost, such as ``LocalDpMod`` or ``fixedclipping_mod`` of
        ``flwr.clientapp.mod``. Evaluation goes without them: it sends no arrays back.

    Returns
    -------
    app : flwr.clientapp.ClientApp
        It answers "train" with the shared arrays and the metrics ``num-examples`` and ``loss``, "evaluate" with
        ``num-examples``, ``loss`` and, where there is one, ``accuracy``: what Flower's ``FedAvg`` expects. If the
        node's configuration has a ``name`` or a ``partition-id``, a record ``client`` says it, for `FlowerGuard`.

    Raises
    ------
    RuntimeError
        Flower is missing.
    TypeError
        `make_client` can't be called.

    Notes
    -----
    A message that does not fit, or holds NaN, is an error on the node, where nothing is overwritten; Flower's
    strategies go on without it. On the server, ``flower_arrays(shared_arrays(model))`` is what a run begins with, and
    `FlowerGuard` keeps out of the average what a strategy would stumble over.
    """
    if not callable(make_client):
        raise TypeError(f"flower_app: make_client must be a function of the context, got {type(make_client).__name__}")
    app_parts, client_parts = flower_module("flower_app", "app"), flower_module("flower_app", "clientapp")
    app = client_parts.ClientApp()

    def reply(message: Any, context: Any, metrics: dict[str, float], **records: Any) -> Any:
        records["metrics"] = app_parts.MetricRecord(metrics)
        if name := _name(context):
            records["client"] = app_parts.ConfigRecord({"name": name})
        return app_parts.Message(app_parts.RecordDict(records), reply_to=message)

    @app.train(mods=list(mods))
    def train(message: Any, context: Any) -> Any:
        update = made_client("flower_app", make_client, context).fit(_received(message))
        metrics = {"num-examples": float(update.count), "loss": float(update.history[-1].loss)}
        return reply(message, context, metrics, arrays=flower_arrays(update.arrays))

    @app.evaluate()
    def evaluate(message: Any, context: Any) -> Any:
        score = made_client("flower_app", make_client, context).evaluate(_received(message))
        metrics = {"num-examples": float(score.count), "loss": float(score.loss)}
        if score.accuracy is not None:
            metrics["accuracy"] = float(score.accuracy)
        return reply(message, context, metrics)

    return app


def flower_arrays(arrays: Mapping[str, np.ndarray]) -> Any:
    """Return arrays by name as Flower's ``ArrayRecord``, for a message or as ``initial_arrays`` of a strategy.

    Raises
    ------
    RuntimeError
        Flower is missing.
    """
    parts = flower_module("flower_arrays", "app")
    return parts.ArrayRecord({name: parts.Array(np.ascontiguousarray(array)) for name, array in arrays.items()})


def _received(message: Any) -> dict[str, np.ndarray]:
    """Return the arrays of a message, by whatever name its server calls their record."""
    records = list(message.content.array_records.values())
    if len(records) != 1:
        raise ValueError(f"flower_app: a message must hold one ArrayRecord, got {len(records)}; as FedAvg's do")
    return {name: array.numpy() for name, array in records[0].items()}


def _name(context: Any) -> str:
    """Return how a node's configuration calls its client, if it does."""
    if "name" in context.node_config:
        return str(context.node_config["name"])
    return f"client {context.node_config['partition-id']}" if "partition-id" in context.node_config else ""


def made_client(where: str, make_client: Callable[[Any], LocalClient], context: Any) -> LocalClient:
    """Return the client of a node, if it is one that can be made anew for each message."""
    client = make_client(context)
    if not isinstance(client, LocalClient):
        raise TypeError(f"{where}: make_client must return a LocalClient, got {type(client).__name__}")
    if client.path is None:
        raise ValueError(
            f"{where}: make_client must give its client a path, got None: Flower makes the client anew for each "
            "message, and a head in memory would be lost; LocalClient(..., path='head.safetensors')"
        )
    return client


def flower_module(where: str, part: str) -> Any:
    """Return a module of Flower."""
    try:
        return importlib.import_module(f"flwr.{part}")
    except ImportError as error:
        raise RuntimeError(
            f"{where}: Flower must be installed, got {error}; it comes with pip install 'rnn_core[federated]'"
        ) from error
