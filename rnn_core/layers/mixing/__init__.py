"""Layers that weigh several things at one place against each other.

==============  =====================================================================================================
scalar_mix.py   `ScalarMix`: a weight for each of several layers' states
==============  =====================================================================================================
"""
