"""A program is cut into launches where it multiplies, and these into phases where it takes means."""

from __future__ import annotations

from typing import Any

import numpy as np

from kernels.cuda.planning.stages import Product, cut
from kernels.definition import ACROSS, Operation, Program, Value
from tests.kernels.programs import program

APPLY = {
    "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "tanh": np.tanh, "negative": np.negative,
    "mean": lambda v: np.broadcast_to(np.mean(v, axis=-1, keepdims=True), np.shape(v)),
    "product": lambda W, v: v @ W.T,
    "product_transposed": lambda W, d: d @ W,
}  # fmt: skip


def by_stages(whole: Program, matrices: int, inputs: list[np.ndarray], wanted: tuple[int, ...]) -> dict[int, Any]:
    """Return some outputs of a program, stage by stage and phase by phase; what nobody has written is NaN."""
    stages, base = cut(whole, matrices, wanted), len(inputs) - matrices
    slots, factors, results = (
        [np.full(inputs[0].shape, np.nan) for _ in range(n)] for n in (stages.slots, stages.factors, stages.results)
    )
    outputs: dict = {}
    for stage in stages.stages:
        for product in stage.products:
            name = "product_transposed" if product.transposed else "product"
            results[product.result] = APPLY[name](inputs[base + product.matrix], factors[product.factor])
        means: list[np.ndarray] = []
        for phase in stage.phases:
            assert not {operation.name for operation in phase.program.operations} & ACROSS.keys()
            assert len(means) == phase.means
            found = iter(phase.program.run([*inputs[:base], *slots, *results, *means], APPLY))
            outputs |= {k: next(found) for k in phase.outputs}
            for where, kept in ((phase.stored, slots), (phase.factors, factors)):
                for k in where:
                    kept[k] = np.broadcast_to(next(found), inputs[0].shape)
            means += [APPLY["mean"](next(found)) for _ in range(phase.summed)]
    return outputs


def random_program(rng: np.random.Generator) -> Program:
    """Return one with two matrices, in which anything reads anything."""
    inputs, operations = 5, []
    for number in range(inputs, inputs + rng.integers(1, 16)):
        name = str(rng.choice(list(APPLY)))
        values = [k for k in range(number) if k not in (3, 4)]
        count = 1 if name in ("tanh", "negative", "mean", *ACROSS) else 2
        operands: list[Value | float] = [Value(int(rng.choice(values))) for _ in range(count)]
        if name.startswith("product"):
            operands = [Value(int(rng.choice([3, 4]))), *operands]
        elif count == 2 and rng.random() < 0.2:
            operands[1] = 0.5
        operations.append(Operation(name, tuple(operands), 0))
    values = [k for k in range(inputs + len(operations)) if k not in (3, 4)]
    outputs: list[Value | float] = [Value(int(rng.choice(values))) for _ in range(4)]
    return Program(tuple("abcVW"), tuple(operations), (*outputs, 0.0), ("",) * 5, (0,) * 5)


def test_stages_do_what_the_program_does():
    for seed in range(200):
        rng = np.random.default_rng(seed)
        whole = random_program(rng)
        inputs = [*rng.standard_normal((3, 2, 3)), *rng.standard_normal((2, 3, 3))]
        expected = whole.run(inputs, APPLY)
        wanted = tuple(sorted({0, 4, *map(int, rng.choice(5, 2))}))
        found = by_stages(whole, 2, inputs, wanted)
        assert found.keys() == set(wanted), seed
        assert all(np.allclose(value, expected[k], rtol=1e-12, atol=1e-12) for k, value in found.items()), seed


def test_means_share_a_launch_and_products_end_it():
    """A normalised sum, gated and multiplied: its two means are in the launch before the product."""
    own = program(
        ["a.n", "p.W"],
        [
            ("mean", (0,)), ("subtract", (0, 2)), ("multiply", (3, 3)), ("mean", (4,)), ("divide", (3, 5)),
            ("product", (1, 6)), ("tanh", (7,)),
        ],
        [8, 6],
    )  # fmt: skip
    first, second = (stages := cut(own, 1, (0, 1))).stages
    assert [(phase.summed, phase.means) for phase in first.phases] == [(1, 0), (1, 1), (0, 2)]
    assert [phase.outputs for phase in (*first.phases, *second.phases)] == [(), (), (1,), (0,)]
    assert second.products == (Product(0, False, 0, 0),)
    assert (stages.launches, stages.products, stages.slots, first.summed, second.summed) == (2, 1, 1, 1, 0)
    assert cut(own, 1, (1,)).launches == 1  # nothing is multiplied that nobody wants


def test_what_reads_inputs_alone_is_done_where_it_is_wanted():
    """So that nothing of it has to be stored, and no launch is made for it."""
    own = program(
        ["kept.o", "dstate.h", "p.W"], [("product_transposed", (2, 1)), ("tanh", (0,)), ("multiply", (3, 4))], [5, 0]
    )
    stages = cut(own, 1, (0, 1), apart=1)
    assert [len(stage.phases) for stage in stages.stages] == [0, 1]
    assert (stages.slots, stages.factors, stages.launches) == (0, 0, 1)
    assert stages.stages[1].products == (Product(0, True, None, 0),)


def test_a_mean_is_stored_where_a_later_launch_reads_it():
    own = program(
        ["a", "p.W"], [("mean", (0,)), ("product", (1, 2)), ("subtract", (3, 2))], [4]
    )
    stages = cut(own, 1, (0,))
    assert (stages.slots, stages.launches) == (1, 2)
    assert [phase.stored for phase in stages.stages[0].phases] == [(), (0,)]


def test_what_stands_apart_is_in_no_phase():
    """h of a cell with a projection: the last product, and nothing behind it."""
    own = program(["a", "p.W"], [("tanh", (0,)), ("product", (1, 2))], [3, 2])
    stages = cut(own, 1, (1,), apart=3)
    assert stages.stages[1] == ((Product(0, False, 0, None),), ())
    assert (stages.launches, stages.products, stages.results) == (1, 1, 0)
