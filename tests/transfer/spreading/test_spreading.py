"""Comparisons spread over joblib's backends and a cluster of Dask: the tables of one process, bit for bit."""

from __future__ import annotations

import multiprocessing
import sys
import types

import joblib
import numba
import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("threadpoolctl")

from rnn_core.showing.surroundings import processors
from transfer import Comparison, compare
from transfer.comparing.kept import KeptRuns
from transfer.spreading import over_dask
from transfer.spreading.spread import is_spread, spreading, workers_option
from transfer.spreading.tasks import Task

from . import tiny

OPTIONS = {"sizes": tiny.SIZES, "seeds": tiny.SEEDS, "arms": tiny.ARMS}
WRONG = {"sizes": tiny.SIZES[:1], "seeds": 2, "arms": tiny.ARMS[1:3]}


class Stopped(Exception):
    """What a crash is in these tests."""


def stopping(after):
    def progress(run, done, total):
        assert total == tiny.ALL
        if done == after:
            raise Stopped

    return progress


@pytest.fixture(scope="module", autouse=True)
def no_process_of_loky_stays():
    """loky's processes wait for more work, which other tests would take for processes that were left behind."""
    yield
    joblib.externals.loky.get_reusable_executor().shutdown(wait=True)


@pytest.fixture(scope="module")
def one():
    """The comparison that one process makes."""
    return compare(tiny.Tiny(), **OPTIONS)


@pytest.fixture(scope="module")
def cluster():
    """Two workers of Dask, processes of their own, and a client."""
    distributed = pytest.importorskip("dask.distributed")
    import dask

    # A worker that dies has died once and for all, and workers that are asked to end do so at once.
    settings = {"distributed.scheduler.allowed-failures": 1, "distributed.worker.multiprocessing-method": "spawn"}
    with (
        dask.config.set(settings),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


# The same bits


def test_loky_gives_the_tables_of_one_process(one):
    told: list[tuple[int, int]] = []
    tables: list[Comparison] = []
    with joblib.parallel_config("loky", n_jobs=2):
        found = compare(
            tiny.Tiny(), **OPTIONS, progress=lambda run, done, total: told.append((done, total)), so_far=tables.append
        )
    assert found == one
    assert str(found) == str(one)
    assert told == [(done, tiny.ALL) for done in range(1, tiny.ALL + 1)]
    assert tables[-1] == one
    assert len(tables) == tiny.SEEDS


def test_threads_that_joblib_has_give_them_too(one):
    with joblib.parallel_config("threading", n_jobs=3):
        assert compare(tiny.Tiny(), **OPTIONS) == one


def test_dask_gives_the_tables_of_one_process(one, cluster):
    with joblib.parallel_config("dask"):
        found = compare(tiny.Tiny(), **OPTIONS)
    assert found == one
    assert str(found) == str(one)


def test_cut_off_on_dask_it_goes_on_with_what_is_missing(one, cluster, tmp_path):
    with pytest.raises(Stopped):
        compare(tiny.Tiny(), **OPTIONS, workers="dask", keep=tmp_path / "kept", progress=stopping(7))
    told = []
    address = f"dask:{cluster.scheduler.address}"
    found = compare(
        tiny.Tiny(), **OPTIONS, workers=address, keep=tmp_path / "kept", resume=True,
        progress=lambda run, done, total: told.append(done),
    )  # fmt: skip
    assert found == one
    assert told == list(range(8, tiny.ALL + 1))
    assert len(list((tmp_path / "kept" / "sources").iterdir())) == 2 * tiny.SEEDS


def test_what_loky_has_kept_one_process_goes_on_from(one, tmp_path):
    with joblib.parallel_config("threading", n_jobs=2), pytest.raises(Stopped):
        compare(tiny.Tiny(), **OPTIONS, keep=tmp_path / "kept", progress=stopping(11))
    assert compare(tiny.Tiny(), **OPTIONS, keep=tmp_path / "kept", resume=True) == one


def test_tables_so_far_are_those_of_the_seeds_that_are_whole(one):
    tables: list[Comparison] = []
    compare(tiny.Tiny(), **OPTIONS, so_far=tables.append)
    assert [table.seeds for table in tables] == [(0,), (0, 1), (0, 1, 2)]
    for table in tables:
        assert table.runs == tuple(run for run in one.runs if run.seed in table.seeds)
        assert str(table)
    assert tables[1] == compare(tiny.Tiny(), **{**OPTIONS, "seeds": 2})


def test_classes_of_a_notebook_go_along(one, monkeypatch):
    """As cells of a notebook define them: in a module that no worker can import."""
    notebook = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", notebook)
    exec("from tests.transfer.spreading import tiny\nclass Study(tiny.Tiny):\n    pass\n", vars(notebook))
    with joblib.parallel_config("loky", n_jobs=2):
        assert compare(notebook.Study(), **OPTIONS) == one


# What goes wrong


def test_what_an_arm_raises_comes_out_as_it_is_and_says_where(cluster):
    study = tiny.Tiny(fails=("arm",))
    for workers in (1, "dask"):
        with pytest.raises(FloatingPointError, match="it ran away") as caught:
            compare(study, **WRONG, workers=workers)
        assert caught.value.__notes__[0].startswith("compare: in arm 'frozen core', size 4, seed 1")
    with joblib.parallel_config("loky", n_jobs=2), pytest.raises(FloatingPointError) as caught:
        compare(study, **WRONG)
    assert "size 4, seed 1, on " in caught.value.__notes__[0]
    assert "in train" in str(caught.value.__cause__)


def test_a_worker_of_loky_that_dies_is_said():
    with joblib.parallel_config("loky", n_jobs=2), pytest.raises(RuntimeError, match="but one has ended; look for"):
        compare(tiny.Tiny(fails=("worker",)), **WRONG)


def test_dask_does_again_what_a_worker_has_taken_along(cluster, tmp_path):
    found = compare(tiny.Tiny(fails=("once",), marks=tmp_path), **WRONG, workers="dask")
    assert (tmp_path / "died").exists()
    assert found.runs == compare(tiny.Tiny(), **WRONG).runs


def test_a_task_that_takes_every_worker_along_is_said_and_what_is_kept_stays(cluster, tmp_path):
    told, study = [], tiny.Tiny(fails=("worker",))
    with pytest.raises(RuntimeError, match="workers must stay alive, but every one that Dask gave .* has ended"):
        compare(study, **WRONG, workers="dask", keep=tmp_path, progress=lambda run, *_: told.append(run))
    kept = KeptRuns(tmp_path, study, resume=True)
    assert len(kept) == len(told)
    assert not any(run.seed == 1 and run.arm == "frozen core" for run in told)


@pytest.mark.parametrize(
    ("workers", "error", "says"),
    [
        ("lokky", RuntimeError, "workers must name a backend that joblib has, got 'lokky'"),
        (0, ValueError, "workers must be an int of at least 1, a joblib backend's name, 'dask:ADDRESS' or None, got 0"),
        (True, ValueError, "got True"),
        (2.0, ValueError, "got 2.0"),
        ("", ValueError, "got ''"),
    ],
)
def test_workers_that_there_are_none_of(workers, error, says):
    with pytest.raises(error, match=f"^compare: .*{says}"):
        compare(tiny.Tiny(), **WRONG, workers=workers)


def test_a_cluster_that_there_is_none_of(monkeypatch):
    pytest.importorskip("dask.distributed")
    import dask

    with (
        dask.config.set({"distributed.comm.timeouts.connect": "100ms"}),
        pytest.raises(RuntimeError, match="must name a scheduler of Dask that answers, got 'tcp://127.0.0.1:9'"),
    ):
        compare(tiny.Tiny(), **WRONG, workers="dask:tcp://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "dask.distributed", None)
    with pytest.raises(RuntimeError, match=r"dask and distributed must be installed, .* 'rnn_core\[dask\]'"):
        compare(tiny.Tiny(), **WRONG, workers="dask")


def test_a_study_that_workers_cannot_import_is_said():
    module = types.ModuleType("not_over_there")
    exec("from tests.transfer.spreading import tiny\nclass Study(tiny.Tiny):\n    pass\n", vars(module))
    sys.modules["not_over_there"] = module
    try:
        with joblib.parallel_config("loky", n_jobs=2), pytest.raises(RuntimeError) as caught:
            compare(module.Study(), **WRONG)
    finally:
        del sys.modules["not_over_there"]
    said = str(caught.value)
    assert "be able to import whatever they are handed, got No module named 'not_over_there' on" in said
    assert "Client.upload_file" in said


def test_workers_with_other_code_are_refused_and_other_processors_named(cluster):
    def done(facts, count):
        with spreading("compare", "dask", None, 2, facts=facts) as spread:
            found = list(spread.results([Task(tiny.threads, (k,), "a task") for k in range(count)]))
            spread.processors.add("kind 0")  # whether one worker has done all of them is Dask's affair
        return len(found)

    with pytest.raises(RuntimeError, match=r"what the caller has installed, .* but code is \d+ on .* here; install"):
        done(tiny.pid_facts, 1)
    with pytest.warns(RuntimeWarning, match=r"^compare: workers should have processors of one kind, got kind 0, kind"):
        assert done(tiny.kinds, 8) == 8


# How


def test_workers_times_threads_are_the_cores(cluster):
    cores = min(processors(), numba.config.NUMBA_NUM_THREADS)
    for workers, each in ((2, max(1, cores // 2)), ("dask", 1)):
        with spreading("compare", workers, None, 2) as spread:
            found = sorted(spread.results([Task(tiny.threads, (place,), "a task") for place in range(3)]))
        assert found == [(place, (each, (place,))) for place in range(3)]
    assert not multiprocessing.active_children() or cluster
    assert numba.get_num_threads() == numba.config.NUMBA_NUM_THREADS


def test_what_tasks_share_and_hold_arrives(cluster):
    for workers in ("threading", "dask"):
        with spreading("compare", workers, {"x": np.arange(3)}, 2) as spread:
            held = spread.hold(np.arange(5))
            ((_, found),) = spread.results([Task(tiny.given, ("last",), "a task", (held,))])
        assert found[0]["x"].tolist() == [0, 1, 2]
        assert found[1:] == (10, "last")


def test_none_is_what_joblib_says_around_the_call():
    assert not is_spread(None)
    assert not is_spread(1)
    assert is_spread(2)
    with joblib.parallel_config("loky", n_jobs=1):
        assert not is_spread(None)
    with joblib.parallel_config(n_jobs=2):
        assert is_spread(None)
    assert [workers_option(text) for text in ("3", "-1", "loky", "dask:tcp://a:1")] == [3, -1, "loky", "dask:tcp://a:1"]


def test_a_task_of_dask_spreads_nothing(cluster):
    assert cluster.submit(is_spread, None, pure=False).result() is False
    with joblib.parallel_config("dask"):
        assert is_spread(None)


def test_a_cluster_without_workers_is_said(cluster, monkeypatch):
    monkeypatch.setattr(over_dask, "PATIENCE", 0.1)
    with (
        joblib.parallel_config("dask", workers=["tcp://127.0.0.1:9"], allow_other_workers=False),
        pytest.raises(RuntimeError, match="Dask must have a worker, but none came within 0 s; start some"),
    ):
        compare(tiny.Tiny(), **WRONG)


def test_an_error_that_cannot_be_pickled_arrives_in_words():
    class Odd(Exception):
        def __init__(self, one, two):
            super().__init__("odd")

    def raises(shared):
        raise Odd(1, 2)

    with (
        joblib.parallel_config("threading", n_jobs=2),
        spreading("compare", None, None, 2) as spread,
        pytest.raises(RuntimeError, match="^Odd: odd"),
    ):
        list(spread.results([Task(raises, (), "a task")]))
