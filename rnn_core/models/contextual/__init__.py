"""Each token in its context: two language models, one reading forwards and one backwards, and their states as features.

================================  ===================================================================================
bidirectional_language_model.py   `BidirectionalLanguageModel`
halves.py                         one of its two language models, and what each is asked for
making.py                         its layers, made and checked against one another
features.py                       `contextual_features`: all layers' states, for a model that mixes them
================================  ===================================================================================
"""
