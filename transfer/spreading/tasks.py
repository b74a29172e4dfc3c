"""A task, what travels to a worker and back, and what a worker does.

What all tasks share, a study for instance, is pickled once, to an array of bytes that an engine hands on as it can: at
the start of a process, as a memory map, or to each host once. Nothing is raised in a worker: an error comes back as a
result, so that every engine treats it alike.
"""

from __future__ import annotations

import pickle
import platform
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from typing import Any, NamedTuple

import numba
import numpy as np

Facts = Callable[[], Mapping[str, Any]]
"""Says what numbers depend on where it is called: versions, code, processor."""

PROCESSOR = "processor"
"""The fact that may differ among workers, which is then said; the others may not."""

UNPICKLABLE = (pickle.PicklingError, AttributeError, TypeError)
"""What pickle raises."""


@dataclass(frozen=True)
class Task:
    """One call that depends on nothing but its arguments.

    Attributes
    ----------
    function : callable
        ``function(shared, *held, *arguments)``, a function of a module.
    arguments : tuple
    held : tuple
        What `Spread.hold` has returned: values that several tasks are handed.
    named : str
        What an error calls it: "arm 'scratch', size 4, seed 0".
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    named: str
    held: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Pack:
    """What all tasks share, as it travels.

    Attributes
    ----------
    where : str
        The function that errors name.
    content : ndarray of uint8
        What is shared, pickled. An array, because engines that copy no large array twice don't know of bytes.
    prepare : bytes
        What a process calls before it unpickles the content, pickled.
    facts : (callable, mapping) or None
        Facts that must be the same on a worker, and what they are here.
    key : str
        A digest: a process unpickles once.
    by_value : bool
        Whether results, too, may be of classes that a notebook or script has defined.
    """

    where: str
    content: np.ndarray
    prepare: bytes
    facts: tuple[Facts, Mapping[str, Any]] | None
    key: str
    by_value: bool


class Outcome(NamedTuple):
    """What came of a task: a value or an error.

    Attributes
    ----------
    place : int
        Which task it was.
    value : object
    error : Exception or None
    trace : str
        Where the error came from, as the worker tells it.
    host, processor : str
        Where the task ran; the processor is known where facts are looked at.
    """

    place: int
    value: Any
    error: Exception | None
    trace: str
    host: str
    processor: str


class WorkerTraceback(Exception):
    """The cause of an error that a worker has met: where it came from, in words."""

    def __str__(self) -> str:
        return f'\n"""\n{self.args[0]}"""'


def packed(
    where: str, shared: Any, prepare: Callable[[], object] | None, facts: Facts | None = None, by_value: bool = False
) -> Pack:
    """Return what all tasks share, pickled.

    Parameters
    ----------
    where : str
    shared : object
    prepare : callable, optional
    facts : callable, optional
        Looked at where workers may be elsewhere.
    by_value : bool
        Take along the classes and functions that a notebook or script has defined.

    Raises
    ------
    TypeError
        It can't be pickled.
    """
    dumps = cloudpickled if by_value else pickle.dumps
    try:
        content, first = dumps(shared), dumps(prepare)
    except UNPICKLABLE as error:
        raise TypeError(
            f"{where}: what workers are handed must be picklable, got {error}; define classes and functions in a "
            "module, keep open files, locks and functions within functions out of them, or use workers=1"
        ) from error
    key = blake2b(content + first, digest_size=16).hexdigest()
    known = None if facts is None else (facts, dict(facts()))
    return Pack(where, np.frombuffer(content, np.uint8), first, known, key, by_value)


def cloudpickled(value: Any) -> bytes:
    """Return a value pickled, with the classes and functions that a notebook or script has defined."""
    try:
        import cloudpickle
    except ImportError:
        from joblib.externals import cloudpickle
    content: bytes = cloudpickle.dumps(value)
    return content


def as_array(value: Any) -> np.ndarray:
    """Return a value pickled to an array, of which engines make no copy too many; `pickle.loads` reads it."""
    try:
        content = pickle.dumps(value)
    except UNPICKLABLE:
        content = cloudpickled(value)
    return np.frombuffer(content, np.uint8)


def work(pack: Pack, place: int, task: Task, threads: int | None, *held: Any) -> bytes:
    """Do a task in a worker, and return its `Outcome`, pickled.

    Parameters
    ----------
    pack : Pack
    place : int
    task : Task
    threads : int or None
        Of the kernels; None leaves them as they are. The results are the same on any number.
    *held : object
        What the task's `held` stands for.
    """
    processor = ""
    try:
        processor = _processor(pack)
        with one_thread(), kernel_threads(threads):
            value = task.function(_unpacked(pack), *held, *task.arguments)
        return _dumped(pack, Outcome(place, value, None, "", platform.node(), processor))
    except Exception as error:  # noqa: BLE001  # whatever it is, the caller raises it
        trace = "".join(traceback.format_exception(error))
        return pickle.dumps(Outcome(place, None, _sendable(error), trace, platform.node(), processor))


_kept = threading.local()
"""In a worker: the pack that its last task came with, unpickled. Each thread has its own, as a study may keep state."""


def _unpacked(pack: Pack) -> Any:
    """Return what the tasks share, unpickled by the first of them in this process."""
    if getattr(_kept, "key", None) != pack.key:
        try:
            prepare = pickle.loads(pack.prepare)
            if prepare is not None:
                prepare()
            _kept.value = pickle.loads(pack.content.data)
        except (ImportError, AttributeError) as error:
            raise RuntimeError(
                f"{pack.where}: workers must be able to import whatever they are handed, got {error} on "
                f"{platform.node()}; install it there, send it (Dask: Client.upload_file), or name it in prepare="
            ) from error
        _kept.key = pack.key
    return _kept.value


@cache
def _here(facts: Facts) -> dict[str, Any]:
    return dict(facts())


def _processor(pack: Pack) -> str:
    """Return this host's processor; raise RuntimeError if it would not compute what the caller's would."""
    if pack.facts is None:
        return ""
    facts, wanted = pack.facts
    found = _here(facts)
    if other := [name for name in wanted if name != PROCESSOR and found.get(name) != wanted[name]]:
        said = "; ".join(f"{name} is {found.get(name)} on {platform.node()} and {wanted[name]} here" for name in other)
        raise RuntimeError(
            f"{pack.where}: workers must have what the caller has installed, or they would compute other bits, but "
            f"{said}; install the same"
        )
    return str(found.get(PROCESSOR, ""))


def _dumped(pack: Pack, outcome: Outcome) -> bytes:
    """Return an outcome as bytes."""
    try:
        return pickle.dumps(outcome)
    except UNPICKLABLE as error:
        if pack.by_value:
            try:
                return cloudpickled(outcome)
            except UNPICKLABLE:
                pass
        raise TypeError(f"{pack.where}: results must be plain data to leave their process, got {error}") from error


def _sendable(error: Exception) -> Exception:
    """Return an error that arrives: itself, or if it can't be pickled and read again, what it says."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001  # an error's own code may raise anything
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


_limits = threading.Lock()
_limited: list[Any] = []
"""The limit that holds while tasks run here, once for each of them."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Give BLAS one thread: the order of its sums may depend on how many it has.

    The limit is the process's, so of tasks that run in threads side by side the last one lifts it.
    """
    from threadpoolctl import threadpool_limits

    with _limits:  # again for each task: one may have loaded a library
        _limited.append(threadpool_limits(1))
    try:
        yield
    finally:
        with _limits:
            if len(_limited) == 1:
                _limited[0].restore_original_limits()
                _limited.clear()
            else:
                _limited.pop()


@contextmanager
def kernel_threads(count: int | None) -> Iterator[None]:
    """Give the kernels that this thread calls so many threads, at most those that there are."""
    before = numba.get_num_threads()
    if count is not None:
        numba.set_num_threads(min(count, numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    try:
        yield
    finally:
        numba.set_num_threads(before)
