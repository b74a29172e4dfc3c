"""The command: ``python -m tests.faults --number 200 --seed 0``; it ends with 1 where something was found.

Each kill is a job of two or three ranks that train; at a random moment a random one of them is killed by SIGKILL. The
others must say so in one line each, the job must end within seconds, and its last checkpoint must be whole. Then the
run is resumed, with exact sums on another number of ranks, and must come to the bits of a run that never broke.

What is done stands in the folder, and a command that was stopped goes on there.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from .plans import drawn
from .runner import Kills, line, summary


def main(argv: list[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__.partition("\n\n")[2])
    add = parser.add_argument
    add("--number", type=int, default=20, metavar="N", help="kills (default: %(default)s)")
    add("--seed", type=int, default=0, metavar="N", help="other numbers draw other kills (default: %(default)s)")
    add("--only", type=int, metavar="K", help="the kill of this number alone")
    add("--out", type=Path, default=Path("runs/kills"), metavar="DIR", help="where to work (default: %(default)s)")
    options = parser.parse_args(argv)
    if options.number < 1:
        parser.error(f"--number must be at least 1, got {options.number}")
    folder = options.out.resolve() / f"seed-{options.seed}"
    done = folder / "done.jsonl"
    lines = done.read_text(encoding="utf-8").splitlines() if done.exists() else []
    outcomes = {one["number"]: one for one in map(json.loads, lines)}
    numbers = range(options.number) if options.only is None else range(options.only, options.only + 1)
    with Kills(folder) as kills:
        for number in numbers:
            if number in outcomes and options.only is None:
                continue
            plan = drawn(options.seed, number)
            outcomes[number] = kills.outcome(plan)
            with open(done, "a", encoding="utf-8") as file:
                file.write(json.dumps(outcomes[number]) + "\n")
            print(line(plan, outcomes[number]), flush=True)
    chosen = [outcomes[number] for number in numbers]
    print("\n" + summary(chosen))
    return 1 if any(one["wrong"] for one in chosen) else 0


if __name__ == "__main__":
    sys.exit(main())
