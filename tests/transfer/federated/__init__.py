"""Clients that share a core: alone, behind a guard, and as Flower runs them."""
