"""The suite's own test: every planted bug of `tests/mutations` is caught by the check that it names.

``pytest tests/rnn_core/checking/test_mutations.py -v`` ends with a table of who caught what.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.mutations import MUTATIONS, Mutation


def test_there_are_enough_and_each_has_a_name_of_its_own() -> None:
    assert len(MUTATIONS) >= 25
    assert len({mutation.bug for mutation in MUTATIONS}) == len(MUTATIONS)


PASSED: set[tuple[Any, str]] = set()
"""Checks that passed when last called in this process, and with what: behind a bug each is called in any case."""


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.bug)
def test_planted_bug_is_caught(mutation: Mutation, record_property) -> None:
    check = mutation.check, str(mutation.arguments)
    if check not in PASSED:
        mutation.check(*mutation.arguments)  # passes without the bug, so that it is the bug that fails it
    PASSED.discard(check)
    with mutation.planted(), pytest.raises(AssertionError):
        mutation.check(*mutation.arguments)
    mutation.check(*mutation.arguments)  # and it is gone again
    PASSED.add(check)
    record_property("caught", f"{mutation.bug} ← {mutation.caught_by}")
