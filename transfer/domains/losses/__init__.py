"""Losses that need no label of the target, a file each, their backwards below them.

==================  ==================================================================================================
loss.py             what such a loss is, what it sees, what it gives back
classes.py          probabilities of classes and their entropy, forward and backward
discrepancy.py      maximum mean discrepancy
correlation.py      deep CORAL
reversal.py         the reversal of a gradient, and how its strength rises
adversarial.py      domain-adversarial training
conditional.py      the same, given what the network says
confusion.py        minimum class confusion
entropy.py          entropy minimisation
pseudo_labels.py    what the network is sure of, as a label
==================  ==================================================================================================
"""
