"""What is there twice, and rules that don't agree."""

# mypy: disable-error-code="arg-type,call-arg,misc"
# Wrong types are what is tried here.

from __future__ import annotations

import pytest

from rnn_core.data.files import read_texts
from rnn_core.training import SGD
from tests.transfer.errors.world import RULES, Error, check, data, named, untrained
from transfer import (
    LinearMap,
    Plan,
    Scale,
    TwoSided,
    Unfreezing,
    choose_hidden_size,
    copy_parameters,
    discriminative_rates,
    fit_plan,
    freeze,
    freeze_to,
    parameter_groups,
    select,
)

TWO_GROUPS = "{}: a parameter must be in one group, got head.weight in 'head' and 'top'; mend Twice.groups"

DUPLICATES = (
    *(
        Error(f"two groups, {where}", call, TWO_GROUPS.format(where))
        for where, call in (
            ("parameter_groups", lambda w: parameter_groups(w["twice"])),
            ("select", lambda w: select(w["twice"], "head")),
            ("freeze", lambda w: freeze(w["twice"], "head")),
            ("freeze_to", lambda w: freeze_to(w["twice"], "top")),
            ("discriminative_rates", lambda w: discriminative_rates(w["twice"], 0.1)),
            ("copy_parameters", lambda w: copy_parameters(w["lstm"], w["twice"])),
            ("Plan.resolve", lambda w: Plan(frozen="head").resolve(w["twice"])),
            ("LinearMap", lambda w: LinearMap(w["twice"], {"*": Scale()})),
            (
                "fit_plan",
                lambda w: fit_plan(
                    w["twice"], data(), Plan(unfreezing=Unfreezing(epochs=1)), optimizer=SGD(0.1), epochs=5
                ),
            ),
        )
    ),
    Error(
        "two rates",
        lambda w: Plan(rates={"rnn.*": 0.1, "*bias*": 0.2}).resolve(w["lstm"]),
        f"Plan.resolve: {RULES}rates 'rnn.*': 0.1 and '*bias*': 0.2 for rnn.bias_ih_l0; narrow one of the patterns",
    ),
    Error(
        "two strengths",
        lambda w: Plan(anchors={"rnn.*": 0.1, "*bias*": 0.2}).resolve(w["lstm"]),
        f"Plan.resolve: {RULES}anchors 'rnn.*': 0.1 and '*bias*': 0.2 for rnn.bias_ih_l0; narrow one of the patterns",
    ),
    Error(
        "an anchor and a decay",
        lambda w: Plan(anchors={"*": 1.0}, decays={"head": 1.0}).resolve(w["lstm"]),
        f"Plan.resolve: {RULES}an anchor and a decay for head.weight, head.bias; narrow one of the patterns",
    ),
    Error(
        "frozen, and with a rate",
        lambda w: Plan(frozen="head", rates={"*": 0.2}).resolve(w["lstm"]),
        f"Plan.resolve: {RULES}frozen 'head' and rates '*' for head.weight; narrow one of the patterns",
    ),
    Error(
        "two maps",
        lambda w: LinearMap(w["lstm"], {"rnn.*": Scale(), "*weight_hh*": TwoSided()}),
        f"LinearMap: {RULES}'rnn.*': Scale() and '*weight_hh*': TwoSided() for rnn.weight_hh_l0; narrow …",
    ),
    Error(
        "mapped and free",
        lambda w: LinearMap(w["lstm"], {"head*": Scale()}, free="head"),
        f"LinearMap: {RULES}free and 'head*': Scale() for head.weight; narrow one of the patterns",
    ),
    Error(
        "two names for one place",
        lambda w: copy_parameters(
            w["lstm"], w["other"], rename={"head.bias": "rnn.bias_hh_l0", "rnn.bias_ih_l0": "rnn.bias_hh_l0"}
        ),
        "copy_parameters: rename must lead to different parameters, got 'head.bias' and 'rnn.bias_ih_l0' for …",
    ),
    Error(
        "a token twice",
        lambda w: copy_parameters(w["six"], w["eight"], vocabulary=("abcdea", "stuvwxyz")),
        "copy_parameters: vocabulary[0] must have each token once, got 'a' again at id 5",
    ),
    Error(
        "a size twice",
        lambda w: choose_hidden_size(untrained, untrained, data(), sizes=[2, 2]),
        "choose_hidden_size: sizes must be different, and not none, got (2, 2)",
    ),
    Error(
        "a column twice",
        lambda w: read_texts(w.write("a.csv", "text,label,text\na,1,b\n")),
        "read_texts: '…a.csv', line 1, must name the column 'text' once, got 'text, label, text'; …",
    ),
)


@pytest.mark.parametrize("error", named("duplicates", DUPLICATES))
def test_the_message_says_what_is_wrong_and_nothing_is_overwritten(error, world):
    check(error, world)
