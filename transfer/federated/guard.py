"""`FlowerGuard`: what clients send back is looked at before a strategy of Flower's averages it.

Flower's strategies go on without a client that reports an error, but a reply that holds NaN makes their average NaN,
and one of another shape, of other names or without a weight ends the run. A guard stands between strategy and grid: it
knows what was sent to whom, hands on the replies that can be averaged with one another, and says of every other client
why not. Nothing of Flower's is imported here: a guard reads messages and passes everything else on to the grid.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from typing import Any, NamedTuple

import numpy as np

_log = logging.getLogger(__name__)

LONGEST = 300
"""Characters of a reason that came over the wire."""


class Exchange(NamedTuple):
    """One time that messages were sent and answered: what a strategy was given, and what it was not.

    Attributes
    ----------
    kind : str
        "train" or "evaluate", or another type of message.
    round : int
        The strategy's number if it sends one, and otherwise counted for each kind, from 1.
    kept : tuple of str
        The clients whose replies were handed on.
    left_out : dict of str to str
        Why not, by client.
    """

    kind: str
    round: int
    kept: tuple[str, ...]
    left_out: dict[str, str]


class FlowerGuard:
    """A grid of Flower's whose replies can be averaged; clients whose replies can't be are left out and named.

    Of a reply to arrays it wants what FedAvg and its kin take for granted: one record of metrics, in which the weight
    is a number above 0 and all others are finite, of the names that most clients sent; and of a reply that trained, one
    record of arrays with the names, shapes and dtypes that went out, without NaN or infinity. Replies to a message
    without arrays are not looked into.

    Parameters
    ----------
    grid : flwr.serverapp.Grid
        What Flower gives to a ``ServerApp``. Hand the guard to a strategy's ``start`` in its place.
    weight : str
        The metric that weighs a reply: ``weighted_by_key`` of the strategy.
    say : callable, optional
        Is told each line, such as ``print``; by default they are warnings of the logger ``transfer.federated.guard``.

    Attributes
    ----------
    exchanges : list of Exchange
        What came of each time that messages were sent.

    Notes
    -----
    A client is named by its node, and by the name that `flower_app` says of it. A node that was restarted is a new node
    to Flower, of the same name. The guard guards against accidents. It does not find a client that lies: finite numbers
    of the right shapes, and a weight, are taken as they come.

    Under secure aggregation a server can't see single replies, so that there is nothing to look at: give that workflow
    the grid itself.
    """

    def __init__(self, grid: Any, *, weight: str = "num-examples", say: Callable[[str], Any] | None = None) -> None:
        if not callable(getattr(grid, "send_and_receive", None)):
            raise TypeError(f"FlowerGuard: grid must be a Grid of Flower's, got {type(grid).__name__}")
        if not isinstance(weight, str):
            raise TypeError(f"FlowerGuard: weight must be the name of a metric, got {weight!r}")
        self.grid, self.weight, self.exchanges = grid, weight, list[Exchange]()
        self._say = _log.warning if say is None else say
        self._names: dict[int, str] = {}

    def __getattr__(self, name: str) -> Any:
        """Whatever else a grid can do, the grid does."""
        if name == "grid":  # a copy in the making has none yet
            raise AttributeError(name)
        return getattr(self.grid, name)

    def send_and_receive(self, messages: Iterable[Any], *, timeout: float | None = None) -> list[Any]:
        """Send messages, and return those replies that can be averaged. Parameters are those of the grid's."""
        sent = list(messages)
        replies = list(self.grid.send_and_receive(sent, timeout=timeout))
        if not sent:
            return replies
        asked = {message.metadata.dst_node_id: message for message in sent}
        by_id = {message.metadata.message_id: message for message in sent}
        kept: dict[int, Any] = {}
        reasons = dict.fromkeys(asked, "did not answer in time")
        for reply in replies:
            # A SuperLink answers for a node that is gone, in its own name: only the message tells whose answer it is.
            message = by_id.get(reply.metadata.reply_to_message_id) if len(by_id) == len(sent) else None
            node = reply.metadata.src_node_id if message is None else message.metadata.dst_node_id
            self._name(node, reply)
            reason = why_not(asked[node], reply, self.weight) if node in asked else "was not asked"
            if reason is None:
                kept[node] = reply
                reasons.pop(node, None)
            elif node not in kept:
                reasons[node] = reason
        kept, others = alike(kept)
        self._note(sent[0], list(kept), reasons | others)
        return list(kept.values())

    def _name(self, node: int, reply: Any) -> None:
        """Remember what a client calls itself."""
        record = _records(reply, "config_records").get("client") or {}
        if isinstance(name := record.get("name"), str):
            self._names[node] = _one_line(name, 60)

    def _called(self, node: int) -> str:
        return f"{self._names[node]} (node {node})" if node in self._names else f"node {node}"

    def _note(self, message: Any, kept: list[int], reasons: Mapping[int, str]) -> None:
        """Write down what came of an exchange, and say whom it leaves out."""
        kind = message.metadata.message_type
        done = sum(exchange.kind == kind for exchange in self.exchanges)
        said = [record.get("server-round") for record in _records(message, "config_records").values()]
        number = next((one for one in said if isinstance(one, int)), done + 1)
        left_out = {self._called(node): reason for node, reason in reasons.items()}
        self.exchanges.append(Exchange(kind, number, tuple(map(self._called, kept)), left_out))
        for client, reason in left_out.items():
            self._say(f"round {number}, {kind}: {client} is left out: {reason}")
        if not kept:
            self._say(f"round {number}, {kind}: no reply is left; what there was stays as it is")


def why_not(message: Any, reply: Any, weight: str = "num-examples") -> str | None:
    """Return why a reply can't go into an average, or None if it can.

    Parameters
    ----------
    message, reply : flwr.app.Message
        What was sent, and what came back.
    weight : str
        The metric that weighs the reply.
    """
    if reply.has_error():
        return f"reports an error: {_one_line(reply.error.reason)}"
    sent = list(_records(message, "array_records").values())
    if not sent:
        return None
    if message.metadata.message_type.partition(".")[0] == "train":
        records = list(_records(reply, "array_records").values())
        if len(records) != 1:
            return f"sent {len(records)} records of arrays, where one is wanted"
        if reason := _arrays_differ(sent[0], records[0]):
            return reason
    metrics = list(_records(reply, "metric_records").values())
    if len(metrics) != 1:
        return f"sent {len(metrics)} records of metrics, where one is wanted"
    return _metrics_fail(metrics[0], weight)


def alike(replies: Mapping[int, Any]) -> tuple[dict[int, Any], dict[int, str]]:
    """Return the replies whose records and metrics have the names that most have, and why not the others, by node.

    A strategy averages what all have, and raises where one lacks something. Of two kinds that are as many, the one that
    came first counts.
    """
    found = {node: _names(reply) for node, reply in replies.items()}
    if not found:
        return {}, {}
    most = Counter(found.values()).most_common(1)[0][0]
    kept = {node: reply for node, reply in replies.items() if found[node] == most}
    others = {node: f"sent {one}, where most sent {most}" for node, one in found.items() if one != most}
    return kept, others


def _arrays_differ(sent: Mapping[str, Any], received: Mapping[str, Any]) -> str | None:
    """Return in what arrays are not like those that were sent."""
    missing = [name for name in sent if name not in received]
    unknown = [name for name in received if name not in sent]
    if missing or unknown:
        return _one_line(
            f"has other arrays than were sent; missing: {', '.join(missing) or 'none'}; "
            f"unknown: {', '.join(unknown) or 'none'}"
        )
    for name, wanted in sent.items():
        try:
            array = received[name].numpy()
        except Exception as error:  # noqa: BLE001  # whatever a reader of strangers' bytes may raise
            return _one_line(f"sent an array that can't be read, {name}: {error}")
        if array.shape != tuple(wanted.shape):
            return f"sent {name} of shape {array.shape}, where {tuple(wanted.shape)} was sent"
        if array.dtype != np.dtype(wanted.dtype):
            return f"sent {name} in {array.dtype}, where {wanted.dtype} was sent"
        if not (finite := np.isfinite(array)).all():
            bad = array[~finite]
            return f"sent {name} with {bad[0]} ({bad.size} of {array.size} values are NaN or infinite)"
    return None


def _metrics_fail(metrics: Mapping[str, Any], weight: str) -> str | None:
    """Return what is wrong with a reply's metrics."""
    if weight not in metrics:
        return f"sent no {weight}, by which replies are weighed"
    count = metrics[weight]
    if isinstance(count, bool) or not isinstance(count, int | float) or not isfinite(count) or count <= 0:
        return f"has {weight} {_one_line(repr(count), 60)}, where a number above 0 is wanted"
    for name, value in metrics.items():
        if not all(isfinite(one) for one in (value if isinstance(value, list) else [value])):
            return _one_line(f"has {name} {value!r}, where a finite number is wanted")
    return None


def _records(message: Any, kind: str) -> Mapping[str, Any]:
    """Return the records of one kind, none if the message is an error."""
    return getattr(message.content, kind) if message.has_content() else {}


def _names(reply: Any) -> str:
    """Return how the records of a reply, and the metrics in them, are called."""
    metrics = (f"{key} of {', '.join(sorted(record))}" for key, record in _records(reply, "metric_records").items())
    return _one_line(" and ".join([*_records(reply, "array_records"), *metrics]) or "nothing", 10**6)


def _one_line(text: object, longest: int = LONGEST) -> str:
    """Return what came over the wire as something to print: one line, and not too long."""
    line = " ".join(str(text).split())
    line = "".join(character if character.isprintable() else "?" for character in line)
    return line if len(line) <= longest else f"{line[: longest - 1]}…"
