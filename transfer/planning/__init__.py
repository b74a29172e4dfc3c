"""How a model is adapted: what stays frozen, at which rates the rest learns, in which stages; training so."""
