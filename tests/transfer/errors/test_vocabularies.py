"""Source and target with other vocabularies."""

# mypy: disable-error-code="arg-type,call-arg,misc"
# Wrong types are what is tried here.

from __future__ import annotations

import pytest

from rnn_core import load
from rnn_core.data import Batch
from rnn_core.training import SGD, fit
from rnn_core.weights import read_arrays
from tests.transfer.errors.world import SHAPES, Error, Y, check, client, named, text, words
from transfer import (
    LowRank,
    Plan,
    RNNFeatures,
    SharedMap,
    TaskBatch,
    cached_features,
    choose_strength,
    copy_parameters,
    set_shared,
    shared_arrays,
    step_saliency,
)

ROWS = "vocabulary=(source_tokens, target_tokens) takes rows of words by token, …"
TOKENS = (
    "tokens must be in 0…5, got 7 at index (…); num_embeddings is 6, so encode with a vocabulary no larger than that"
)
ABC = tuple("abcdef")

VOCABULARIES = (
    Error(
        "copied",
        lambda w: copy_parameters(w["six"], w["eight"]),
        f"{SHAPES}embedding.weight 6×3 for 8×3, head.weight 6×3 for 8×3, head.bias 6 for 8; {ROWS}",
    ),
    Error(
        "copied where they overlap",
        lambda w: copy_parameters(w["eight"], w["six"], on_mismatch="overlap"),
        f"{SHAPES}embedding.weight 8×3 for 6×3, …; {ROWS}",
    ),
    Error(
        "into a model of several tasks",
        lambda w: copy_parameters(w["six"], w["tasks"], include="embedding"),
        f"{SHAPES}embedding.weight 6×3 for 8×3; {ROWS}",
    ),
    Error("out of a file", lambda w: copy_parameters(load(w.path("six.safetensors")), w["eight"]), f"{SHAPES}…{ROWS}"),
    Error(
        "out of a file's arrays",
        lambda w: copy_parameters(read_arrays(w.path("six.safetensors")), w["eight"]),
        f"{SHAPES}…{ROWS}",
    ),
    Error(
        "tokens for another number of rows",
        lambda w: copy_parameters(w["six"], w["eight"], vocabulary=(ABC, ABC)),
        "copy_parameters: vocabulary must have a token for each row of embedding.weight, got 6 tokens for the target's "
        "shape (8, 3)",
    ),
    Error(
        "no token in common",
        lambda w: copy_parameters(w["six"], w["eight"], vocabulary=(ABC, "stuvwxyz")),
        "copy_parameters: vocabulary must have a token in common, got ['a', 'b', 'c']… for the source and ['s', …",
    ),
    Error(
        "no tokens",
        lambda w: copy_parameters(w["six"], w["eight"], vocabulary=([], "stuvwxyz")),
        "copy_parameters: vocabulary must have a token in common, got []… for the source and ['s', …",
    ),
    Error(
        "an anchor's source",
        lambda w: Plan(anchors={"*": 1.0}).resolve(w["six"], w["eight"]),
        "Plan.resolve: reference['embedding.weight'] must have shape (6, 3), got (8, 3)",
    ),
    Error(
        "a source to be held to",
        lambda w: choose_strength(
            w["six"], text(6), text(6), optimizer=SGD(0.1), epochs=1, anchored="*", alphas=[1.0], reference=w["eight"]
        ),
        "…reference['embedding.weight'] must have shape (6, 3), got (8, 3)",
    ),
    Error(
        "a shared core",
        lambda w: set_shared(w["six"], "*", shared_arrays(w["eight"], "*")),
        "set_shared: embedding.weight must have shape (6, 3), as in this model, got (8, 3); …",
    ),
    Error(
        "a round of a client",
        lambda w: client(w["six"], train=text(6), core="*").fit(w["eight"].parameters),
        "LocalClient.fit: embedding.weight must have shape (6, 3), as in this model, got (8, 3); …",
    ),
    Error(
        "one map for both",
        lambda w: SharedMap({"a": w["six"], "b": w["eight"]}, {"embedding": LowRank(1)}),
        "SharedMap: T must have the same tensors for all models, got embedding.weight.U of shape (6, 1) for 'a' and "
        "(8, 1) for 'b'…",
    ),
    Error(
        "a text with more tokens",
        lambda w: fit(w["six"], text(8), optimizer=SGD(0.1), epochs=1, progress=False),
        "Embedding.forward: tokens must be in 0…5, got 6 at index (1, 3); num_embeddings is 6, …; met in step 1 of 4 …",
    ),
    Error(
        "a target past the vocabulary",
        lambda w: w["six"].loss_and_gradients(Batch(words().inputs, words(7).inputs)),
        "SoftmaxCrossEntropy.forward: targets must be in 0…5, got 7 at index (0, 0); the logits have 6 classes",
    ),
    Error("cached", lambda w: cached_features(w["six"], words(7)), f"Embedding.__call__: {TOKENS}"),
    Error(
        "as features",
        lambda w: RNNFeatures(w["six, classes"]).fit_transform(words(7).inputs),
        f"Embedding.__call__: {TOKENS}",
    ),
    Error("interpreted", lambda w: step_saliency(w["six, classes"], words(7).inputs), f"Embedding.__call__: {TOKENS}"),
    Error(
        "in a task",
        lambda w: w["tasks"].loss_and_gradients(TaskBatch({"a": Batch(words(9).inputs, Y[:4])})),
        "Embedding.forward: tokens must be in 0…7, got 9 at index (0, 0); num_embeddings is 8, …",
    ),
    Error(
        "a run of another vocabulary",
        lambda w: fit(
            w["eight"], text(6), optimizer=SGD(0.1), epochs=2, checkpoint=w.path("words"), resume=True, progress=False
        ),
        "fit: to resume, a run must be the one that wrote '…last.safetensors', but model.vocab_size was 6 and is 8; …",
    ),
)


@pytest.mark.parametrize("error", named("vocabulary", VOCABULARIES))
def test_the_message_says_what_is_wrong_and_nothing_is_overwritten(error, world):
    check(error, world)
