"""Studies of tiny tasks, for the tests of what is compared on them."""

from __future__ import annotations

import numpy as np

from rnn_core.data import Tokenizer
from rnn_core.data.labelled import Labelled
from transfer.comparing.arms import Start
from transfer.comparing.classification import ClassificationStudy
from transfer.comparing.data_study import Budget
from transfer.methods.catalogue import arms_for

BUDGET = Budget(source_updates=6, target_updates=6, batch_size=8)
CLASSES = ("a", "b", "c")


def labelled(seed, n=60, classes=CLASSES, steps=5, features=2, shift=0.0, lengths=False):
    """Sequences whose class is which third of the numbers their mean falls into."""
    rng = np.random.default_rng(seed)
    x = (shift + rng.standard_normal((n, steps, features))).astype(np.float32)
    y = np.digitize(x.mean(axis=(1, 2)) - shift, np.linspace(-0.2, 0.2, len(classes) - 1))
    y[: len(classes)] = np.arange(len(classes))  # none is left out
    return Labelled(x, y, classes, rng.integers(2, steps + 1, n) if lengths else None)


def words(seed, n=40, classes=("no", "yes")):
    """Rows of letters, with a vocabulary of their own."""
    rng = np.random.default_rng(seed)
    texts = ["".join(rng.choice(list("abcde"), 6)) for _ in range(n)]
    tokens = Tokenizer("char").fit(texts)
    y = np.array([text.count("a") > 1 for text in texts], np.int64)
    y[:2] = 0, 1
    return Labelled(np.stack(tokens.encode_all(texts)), y, classes, tokens=tokens)


def study_of(source=None, target=None, test=None, **options):
    """A study of two domains with the same classes."""
    source = labelled(0) if source is None else source
    target = labelled(1, shift=0.3) if target is None else target
    test = target if test is None else test
    network = {"hidden_size": 6, "cell": "gru"}
    return ClassificationStudy(source, target, test, network, **{"budget": BUDGET, **options})


def start_of(study, arm="fine-tuned", size=12, seed=0):
    """What a method begins with in the arm of that name."""
    (found,) = (a for a in arms_for(study)[0] if a.name == arm)
    source = study.pretrain(seed, False)
    return Start(source, found.begin(study, source, seed), found.plan_for(study.core), size, seed)


def state(model):
    return {name: array.copy() for name, array in model.parameters.items()}
