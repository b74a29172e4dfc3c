"""A program is cut where an operation looks at a whole row of units."""

from kernels.definition import Operation, Program, Value
from kernels.levels import Level, levels


def program(inputs, operations, outputs):
    made = tuple(Operation(name, tuple(map(Value, of)), 0) for name, of in operations)
    names = tuple(f"out.{k}" for k in range(len(outputs)))
    return Program(tuple(inputs), made, tuple(map(Value, outputs)), names, (0,) * len(outputs))


def test_operations_of_one_unit_are_one_level():
    own = program(["a.h", "prev.h"], [("multiply", (0, 1)), ("tanh", (2,))], [3, 2])
    assert levels(own) == (Level((), (2, 3), (), (0, 1)),)


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
        Level((), (), (0, 1), ()),
        Level((2,), (3, 4), (3, 4), ()),
        Level((5,), (6, 7, 8), (), (0,)),
    )


def test_a_gate_before_the_product_leaves_what_is_multiplied():
    own = program(
        ["a.r", "a.n", "prev.h", "p.weight"],
        [("sigmoid", (0,)), ("multiply", (4, 2)), ("product", (3, 5)), ("add", (1, 6)), ("tanh", (7,))],
        [8, 4],
    )
    assert levels(own) == (
        Level((), (4, 5), (1, 5), (1,)),
        Level((6,), (7, 8), (), (0,)),
    )


def test_an_output_may_be_what_is_made_across_the_units():
    own = program(["a.m", "p.projection"], [("tanh", (0,)), ("product", (1, 2))], [3, 2])
    assert levels(own) == (Level((), (2,), (2,), (1,)), Level((3,), (), (), (0,)))
