"""The time loops, forwards and back: one compiled function for a whole layer and direction.

**Who does what.** The threads stand in `groups` × `members`. A group has its own rows of the batch, for all time, and
its steps wait for no other group's; the members of a group share its hidden units. With one member there is nothing to
wait for until the end; with several, all must have h_t before anyone begins step t + 1, and a barrier sees to that.
kernels/cpu/plan.py chooses.

**Rows.** Sequences of unequal length are sorted, longest first, and their steps packed (running/rows.py): step t has
the rows still running, and they are the first ones. What has ended costs nothing, here and in every product over all
steps.

**Phases.** A loop is put together from functions that have names and cost nothing: numba writes their lines into the
loop (`phase`), before there are types. What they hand to one another are views (layout.py), tuples of a few integers
that say what an address points at; LLVM leaves nothing of them but the additions that are needed anyhow.
"""
