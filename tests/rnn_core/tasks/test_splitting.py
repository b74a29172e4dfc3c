"""What is held out: each class with its share, by the seed alone, and never a row on both sides."""

from __future__ import annotations

import numpy as np
import pytest

from rnn_core.tasks.splitting import split_classes, split_rows


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5])
def test_each_class_has_its_share(share) -> None:
    targets = np.repeat([0, 1, 2], [50, 30, 20])
    train, held_out = split_classes(targets, share, 0)
    assert sorted([*train, *held_out]) == list(range(100))
    assert np.bincount(targets[held_out]).tolist() == [round(share * n) for n in (50, 30, 20)]
    again = split_classes(targets, share, 0)
    assert all((one == two).all() for one, two in zip((train, held_out), again, strict=True))
    assert (split_classes(targets, share, 1)[1] != held_out).any()


def test_a_class_of_one_is_learned() -> None:
    train, held_out = split_classes(np.array([0, 1, 1, 1, 1]), 0.5, 0)
    assert 0 in train
    assert len(held_out) == 2
    assert len(split_classes(np.array([0, 0, 1, 1]), 0.01, 0)[1]) == 1  # never none
    with pytest.raises(ValueError, match="two examples of a class at least"):
        split_classes(np.array([0, 1, 2]), 0.5, 0)


def test_rows() -> None:
    train, held_out = split_rows(10, 0.25, 0)
    assert sorted([*train, *held_out]) == list(range(10))
    assert len(held_out) == 2
    assert (len(split_rows(2, 0.99, 0)[0]), len(split_rows(50, 0.001, 0)[1])) == (1, 1)
    with pytest.raises(ValueError, match="two examples or more"):
        split_rows(1, 0.5, 0)
