"""Go on where a prompt ends, with the language model that ``rnn-core demo`` has fine-tuned on docstrings.

For example ``python examples/continue_text.py "Return the number of " --steps 300``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rnn_core import load
from rnn_core.data import Tokenizer

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("prompt", nargs="?", default="Return the ")
parser.add_argument("--steps", type=int, default=300, help="characters to write")
parser.add_argument("--temperature", type=float, default=0.6, help="how daring; 0 takes the likeliest character")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--run", type=Path, default=Path("runs/demo"), help="where the demonstration has written")
args = parser.parse_args()

model = load(args.run / "characters-tuned.safetensors")
tokens = Tokenizer.from_dict(json.loads((args.run / "characters-tuned.tokens.json").read_text(encoding="utf-8")))
drawn = model.generate(tokens.encode(args.prompt), args.steps, temperature=args.temperature, rng=args.seed)
print(args.prompt + tokens.decode(drawn))
