"""Bugs in losses between domains, in what trains by them, and in what they may see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests import domain_checks as checks

from .mutation import Mutation


def _bug(name: str, target: str, old: str, new: str, check: Callable[..., None], *arguments: Any) -> Mutation:
    return Mutation(f"domains: {name}", f"transfer.domains.{target}", old, new, check, arguments)


def _distances() -> Iterator[Mutation]:
    mmd, coral = "losses.discrepancy", "losses.correlation"
    yield _bug(
        "a kernel is without its own domain",
        f"{mmd}:MMD.forward",
        "within_source + within_target -",
        "within_source -",
        checks.a_domain_is_no_distance_from_itself,
    )
    yield _bug(
        "the pull of a domain on itself is forgotten",
        f"{mmd}:shares",
        "xp.where(neither, own[1], -1 / (n * m))",
        "xp.where(neither, 0.0, -1 / (n * m))",
        checks.loss_gradients,
        "MMD, one kernel",
    )
    yield _bug(
        "the domains are not apart: the cross term counts once",
        f"{mmd}:MMD.forward",
        "- 2 * xp.mean",
        "- xp.mean",
        checks.a_domain_is_no_distance_from_itself,
    )
    yield _bug(
        "the unbiased discrepancy keeps its diagonal",
        f"{mmd}:within",
        "(xp.sum(k) - xp.sum(xp.linalg.diagonal(k)))",
        "xp.sum(k)",
        checks.discrepancy_by_hand,
        True,
    )
    yield _bug(
        "one kernel of several is steeper in the backward",
        f"{mmd}:MMD.forward",
        "slope - e / (2 * c * variance)",
        "slope - e / (2 * variance)",
        checks.loss_gradients,
        "MMD",
    )
    yield _bug(
        "the bandwidth is the median of all pairs, each row with itself among them",
        f"{mmd}:median",
        "places[:, None] < places[None, :]",
        "places[:, None] <= places[None, :]",
        checks.discrepancy_by_hand,
        False,
    )
    yield _bug(
        "covariances are of rows that are not centred",
        f"{coral}:DeepCORAL.forward",
        "x - xp.sum(x, axis=0) / x.shape[0]",
        "x",
        checks.correlation_by_hand,
    )
    yield _bug(
        "both covariances are pulled the same way",
        f"{coral}:DeepCORAL.backward",
        "covariance_backward(target, -dC)",
        "covariance_backward(target, dC)",
        checks.loss_gradients,
        "CORAL",
    )


def _critics() -> Iterator[Mutation]:
    adversarial, conditional = "losses.adversarial", "losses.conditional"
    yield _bug(
        "the reversal has the wrong sign",
        "losses.reversal:reverse_backward",
        "-strength * dx",
        "strength * dx",
        checks.what_is_below_a_reversal_is_pushed_up,
    )
    yield _bug(
        "the critic's own gradient is reversed, too",
        f"{adversarial}:criticise_backward",
        'f"output.{name}": gradient for',
        'f"output.{name}": -gradient for',
        checks.loss_gradients,
        "adversarial",
    )
    yield _bug(
        "the reversal is at its full strength from the start",
        "losses.reversal:reversal_strength",
        "tanh(steepness * progress / 2)",
        "tanh(steepness / 2)",
        checks.reversal_rises,
    )
    yield _bug(
        "the strength rises twice as fast",
        "losses.reversal:reversal_strength",
        "steepness * progress / 2",
        "steepness * progress",
        checks.reversal_rises,
    )
    yield _bug(
        "weights are not normalised: the larger domain counts more",
        f"{adversarial}:balanced",
        "[source / (2 * xp.sum(source)), target / (2 * xp.sum(target))]",
        "[source, target]",
        checks.critic_by_hand,
    )
    yield _bug(
        "the critic's hidden units let all through on the way back",
        f"{adversarial}:criticise_backward",
        "da * tape.positive",
        "da",
        checks.loss_gradients,
        "adversarial",
    )
    yield _bug(
        "sure rows count less",
        f"{conditional}:ConditionalAdversarial.forward",
        "-real_part(xp, entropy(found))",
        "real_part(xp, entropy(found))",
        checks.conditional_by_hand,
        False,
    )
    yield _bug(
        "drawn products grow with their number",
        f"{conditional}:ConditionalAdversarial.forward",
        " / sqrt(drawn[0].shape[1])",
        "",
        checks.drawn_products_keep_lengths,
    )
    yield _bug(
        "nothing flows back through what the network says",
        f"{conditional}:ConditionalAdversarial.backward",
        "dz[:n], dz[n:]",
        "0 * dz[:n], 0 * dz[n:]",
        checks.loss_gradients,
        "conditional, drawn",
    )


def _classes() -> Iterator[Mutation]:
    yield _bug(
        "a class's confusion with itself counts",
        "losses.confusion:ClassConfusion.forward",
        "apart = 1 - xp.eye",
        "apart = 1 - 0 * xp.eye",
        checks.confusion_by_hand,
    )
    yield _bug(
        "the sums by which confusion is divided are constants in the backward",
        "losses.confusion:ClassConfusion.backward",
        "(apart - off)",
        "apart",
        checks.loss_gradients,
        "confusion",
    )
    yield _bug(
        "the temperature is forgotten on the way back",
        "losses.classes:probabilities_backward",
        " / found.temperature",
        "",
        checks.loss_gradients,
        "confusion",
    )
    yield _bug(
        "the network is made unsure",
        "losses.entropy:EntropyMinimisation.backward",
        "1 / H.shape[0]",
        "-1 / H.shape[0]",
        checks.loss_gradients,
        "entropy",
    )
    yield _bug(
        "confidence is not calibrated",
        "losses.pseudo_labels:PseudoLabels.forward",
        "probabilities(z, self.temperature)",
        "probabilities(z)",
        checks.pseudo_labels_by_hand,
    )
    yield _bug(
        "few sure rows count as much as many",
        "losses.pseudo_labels:PseudoLabels.forward",
        "return share * loss",
        "return loss",
        checks.pseudo_labels_by_hand,
    )
    yield _bug(
        "calibration finds 1/T",
        "calibration:calibrate",
        "T = 1 / low",
        "T = low",
        checks.calibration_is_a_minimum,
    )


def _training() -> Iterator[Mutation]:
    model = "model:DomainAdapted"
    yield _bug(
        "labels of the target leak: they silence some of its rows",
        "batches:SideBySide.batch",
        'Unlabelled(tasks["target"].inputs, tasks["target"].lengths)',
        'Unlabelled(tasks["target"].inputs * (tasks["target"].targets[:, None, None] > 0), None)',
        checks.labels_of_the_target_are_not_read,
    )
    yield _bug(
        "padding is a row like any other",
        f"{model}._side",
        "valid_steps(xp, steps, p.shape[1])",
        "valid_steps(xp, 0 * steps + p.shape[1], p.shape[1])",
        checks.padding_says_nothing,
        "MMD",
    )
    yield _bug(
        "the source's features are not pulled at",
        f"{model}.loss_and_gradients",
        "_sum(dp, pulled.dp_source)",
        "dp",
        checks.model_gradients,
        "classifier",
        "rnn",
        "CORAL",
    )
    yield _bug(
        "the loss between domains is weighed in its value alone",
        f"{model}._pull",
        "df = self.weight * df",
        "df = df",
        checks.model_gradients,
        "classifier",
        "rnn",
        "CORAL",
    )
    yield _bug(
        "the head learns nothing from the target's rows",
        f"{model}.loss_and_gradients",
        "self._walk(pulled.target, pulled.dp_target, pulled.of_head_target, mine)",
        "self._walk(pulled.target, pulled.dp_target, {}, mine)",
        checks.model_gradients,
        "classifier",
        "rnn",
        "entropy",
    )


MUTATIONS = (*_distances(), *_critics(), *_classes(), *_training())
