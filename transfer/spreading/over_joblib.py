"""The engine that runs on whatever backend of joblib is configured, but for Dask's, which has a file of its own."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from typing import Any

from .tasks import Pack, Task, work


class OverJoblib:
    """Tasks handed to `joblib.Parallel`.

    Parameters
    ----------
    pack : Pack
    backend : str, optional
        A backend's name, with all that it has; without it, what `joblib.parallel_config` says.
    """

    def __init__(self, pack: Pack, backend: str | None) -> None:
        self.pack = pack
        self.backend = backend

    def hold(self, value: Any) -> Any:
        """Return what a task's `held` has for a value: the value; joblib maps large arrays into its processes."""
        return value

    def results(self, tasks: Sequence[Task]) -> Iterator[bytes]:
        """Yield what `work` returns, as it comes."""
        import joblib
        from joblib.externals.loky.process_executor import BrokenProcessPool

        config = nullcontext() if self.backend is None else joblib.parallel_config(self.backend, n_jobs=-1)
        with config:
            # joblib gives each process of loky its share of the cores, also those of numba. Others' slots are a core.
            ours = type(joblib.parallel.get_active_backend()[0]).__name__ == "LokyBackend"
            threads = None if ours else 1
            parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1)
            outputs = parallel(
                joblib.delayed(work)(self.pack, place, task, threads, *task.held) for place, task in enumerate(tasks)
            )
            try:
                for output in outputs:  # noqa: UP028  # `yield from` would close it without the filter below
                    yield output
            except BrokenProcessPool as error:
                raise RuntimeError(
                    f"{self.pack.where}: workers must be able to start and to stay alive, but one has ended; look for "
                    "a lack of memory, or use fewer workers"
                ) from error
            finally:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", UserWarning)  # that results are thrown away is known
                    outputs.close()

    def close(self, failed: bool) -> None:
        """Leave joblib's processes to joblib, which has ended them if something has failed."""
