"""A program is cut where an operation looks at a whole row of units."""

from kernels.cpu.levels.cutting import Level, levels
from tests.kernels.programs import program


def test_operations_of_one_unit_are_one_level():
    own = program(["a.h", "prev.h"], [("multiply", (0, 1)), ("tanh", (2,))], [3, 2])
    assert levels(own) == (Level((), (2, 3), (0, 1)),)


def test_a_normalised_sum_has_a_level_for_its_mean_and_one_for_its_variance():
    own = program(
        ["a.h", "p.gain"],
        [
            ("mean", (0,)), ("subtract", (0, 2)), ("multiply", (3, 3)), ("mean", (4,)), ("sqrt", (5,)),
            ("divide", (3, 6)), ("multiply", (7, 1)),
        ],
        [8],
    )  # fmt: skip
    assert levels(own) == (
        Level((), (), ()),
        Level((2,), (3, 4), ()),
        Level((5,), (6, 7, 8), (0,)),
    )


def test_a_gate_before_the_product_is_a_level_of_its_own():
    own = program(
        ["a.r", "a.n", "prev.h", "p.weight"],
        [("sigmoid", (0,)), ("multiply", (4, 2)), ("product", (3, 5)), ("add", (1, 6)), ("tanh", (7,))],
        [8, 4],
    )
    assert levels(own) == (
        Level((), (4, 5), (1,)),
        Level((6,), (7, 8), (0,)),
    )


def test_an_output_may_be_what_is_made_across_the_units():
    own = program(["a.m", "p.projection"], [("tanh", (0,)), ("product", (1, 2))], [3, 2])
    assert levels(own) == (Level((), (2,), (1,)), Level((3,), (), (0,)))
