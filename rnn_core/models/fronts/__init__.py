"""What stands before a model's core, and makes of what comes in the features (B, T, I) that the core reads.

================  ===================================================================================================
front.py          `Front`: what each of them provides
plain.py          `Features`, as they come, and `Tokens`, through an embedding
convolutions.py   `Frames`, each through convolutions, and `OverTime`, convolutions along the steps
letters.py        `Letters`: words, each read letter by letter
mix.py            `Mix`: several layers' states at each step, as their weighted sum
making.py         `front_of`: which of them a model's arguments ask for
================  ===================================================================================================
"""
