"""Identities of whole sequences, of every cell: cut in two, row by row, ragged, renumbered; and of their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kernels.contract import CELLS, Parameters
from tests.rnn_core.equations.identities import B, H, T, close, differentiate, draw, run

every_cell = pytest.mark.parametrize("name", CELLS)


@every_cell
class TestSequences:
    def test_cut_in_two_with_the_state_carried_on(self, name):
        params, x, state = draw(name)
        y, final = run(name, params, x, state)
        for cut in range(1, T):
            first, middle = run(name, params, x[:cut], state)
            second, end = run(name, params, x[cut:], middle)
            close(np.concatenate([first, second]), y)
            close(end, final)

    def test_cut_in_two_backwards(self, name):
        """The gradient of the second half's initial state is that of the first half's final state."""
        params, x, state = draw(name)
        dy, cut = np.random.default_rng(1).standard_normal((T, B, H)), 3
        whole = differentiate(name, params, x, state, dy)
        _, middle = run(name, params, x[:cut], state)
        second = differentiate(name, params, x[cut:], middle, dy[cut:])
        at_cut = tuple(second[f"{s}0"] for s in CELLS[name].states)
        first = differentiate(name, params, x[:cut], state, dy[:cut], at_cut)
        close(np.concatenate([first["x"], second["x"]]), whole["x"])
        for each in (*(f"{s}0" for s in CELLS[name].states), *Parameters._fields):
            close(first[each] + (second[each] if each in Parameters._fields else 0), whole[each])

    def test_one_step_is_the_first_of_many(self, name):
        params, x, state = draw(name)
        y, final = run(name, params, x[:1], state)
        close(y[0], run(name, params, x, state)[0][0])
        np.testing.assert_array_equal(final[0], y[0])

    def test_rows_do_not_meet(self, name):
        params, x, state = draw(name)
        y, _ = run(name, params, x, state)
        dy = np.random.default_rng(1).standard_normal((T, B, H))
        together = differentiate(name, params, x, state, dy)
        alone = []
        for b in range(B):
            mine = x[:, b : b + 1], tuple(s[b : b + 1] for s in state)
            close(run(name, params, *mine)[0], y[:, b : b + 1])
            alone.append(differentiate(name, params, *mine, dy[:, b : b + 1]))
        close(np.concatenate([each["x"] for each in alone], axis=1), together["x"])
        for field in Parameters._fields:
            close(sum(each[field] for each in alone), together[field])

    def test_ragged_rows_equal_each_row_alone(self, name):
        params, x, state = draw(name)
        lengths = np.array([T, 1, 4])
        y, final = run(name, params, x, state, lengths=lengths)
        dy = np.random.default_rng(1).standard_normal((T, B, H))
        together = differentiate(name, params, x, state, dy, lengths=lengths)
        total: dict[str, Any] = dict.fromkeys(Parameters._fields, 0.0)
        for b, n in enumerate(lengths):
            mine = x[:n, b : b + 1], tuple(s[b : b + 1] for s in state)
            y_b, final_b = run(name, params, *mine)
            close(y[:n, b : b + 1], y_b)
            close([s[b : b + 1] for s in final], list(final_b))
            assert not y[n:, b].any()
            alone = differentiate(name, params, *mine, dy[:n, b : b + 1])
            close(together["x"][:n, b : b + 1], alone["x"])
            assert not together["x"][n:, b].any()
            total = {field: total[field] + alone[field] for field in total}
        for field in total:
            close(together[field], total[field])

    def test_units_have_no_order(self, name):
        """Renumbering the hidden units renumbers the output, and nothing else."""
        params, x, state = draw(name)
        order = np.random.default_rng(1).permutation(H)
        rows = np.concatenate([k * H + order for k in range(CELLS[name].gate_count)])
        renumbered = Parameters(
            params.weight_ih[rows], params.weight_hh[rows][:, order], params.bias_ih[rows], params.bias_hh[rows]
        )
        y, _ = run(name, renumbered, x, tuple(s[:, order] for s in state))
        close(y, run(name, params, x, state)[0][..., order])


@every_cell
class TestGradients:
    def test_backward_is_linear_in_what_comes_from_above(self, name):
        params, x, state = draw(name)
        rng = np.random.default_rng(1)
        dys, dstates = rng.standard_normal((2, T, B, H)), rng.standard_normal((2, len(state), B, H))
        both = differentiate(name, params, x, state, 2 * dys[0] - 3 * dys[1], tuple(2 * dstates[0] - 3 * dstates[1]))
        first, second = (
            differentiate(name, params, x, state, dy, tuple(dstate)) for dy, dstate in zip(dys, dstates, strict=True)
        )
        for each, gradient in both.items():
            close(gradient, 2 * first[each] - 3 * second[each], rtol=1e-11)

    def test_last_output_is_the_final_state(self, name):
        params, x, state = draw(name)
        u = np.random.default_rng(1).standard_normal((B, H))
        as_output = differentiate(name, params, x, state, np.concatenate([np.zeros((T - 1, B, H)), u[None]]))
        as_state = differentiate(name, params, x, state, None, (u, *(None,) * (len(state) - 1)))
        for each in as_output:
            np.testing.assert_array_equal(as_output[each], as_state[each])

    def test_nothing_above_gives_nothing_below(self, name):
        params, x, state = draw(name)
        for gradient in differentiate(name, params, x, state, None).values():
            assert not gradient.any()

    def test_weights_need_one_product_only(self, name):
        """dW is the sum over steps of each step's own, whichever way it is taken."""
        params, x, state = draw(name)
        dy = np.random.default_rng(1).standard_normal((T, B, H))
        total: dict[str, Any] = dict.fromkeys(Parameters._fields, 0.0)
        at: tuple[np.ndarray | None, ...] | None = None
        states = [state]
        for t in range(T):
            states.append(run(name, params, x[t : t + 1], states[-1])[1])
        for t in reversed(range(T)):
            step = differentiate(name, params, x[t : t + 1], states[t], dy[t : t + 1], at)
            at = tuple(step[f"{s}0"] for s in CELLS[name].states)
            total = {field: total[field] + step[field] for field in total}
        whole = differentiate(name, params, x, state, dy)
        for field in total:
            close(total[field], whole[field])
