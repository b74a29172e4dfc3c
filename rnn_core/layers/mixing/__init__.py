"""Layers that weigh several things at one place against each other.

==============  =====================================================================================================
scalar_mix.py   `ScalarMix`: a weight for each of several layers' states
highway.py      `Highway`: a transform of features, or the features themselves
gates.py        what a gate is
==============  =====================================================================================================
"""
