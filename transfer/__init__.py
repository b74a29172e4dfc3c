"""What a network has learned, carried over to another task: copied, frozen, adapted, compared with a fresh start.

Rooms, each upon those above it:

- ``parameters``: groups, patterns, what a parameter may take, and copying.
- ``planning``: what is frozen, at which rates the rest learns, in which stages; training by a `Plan`.
- ``tasks``: one core for several tasks, at once or one after the other.
- ``maps``: a target's parameters as a linear map of the source's.
- ``features``: a core that stays as it is, as the maker of features.
- ``instances``: the source's examples among the target's: weighted, boosted, aligned.
- ``domains``: a source with labels and a target without, trained on at once.
- ``federated``: clients that share a core and keep their data.
- ``choosing``: which source, which hidden size, how strongly to hold on.
- ``comparing``: studies, arms, runs and verdicts.
- ``methods``: every way to transfer, as an arm of a comparison.
- ``showing``: the terminal, pages, pictures, saliency.
- ``inputs``: from a user's files to a study.
- ``commands`` and ``demo``: ``rnn-core transfer``, ``predict`` and ``demo``.

`table` stands beside them, because every room may print one.
"""

from typing import TYPE_CHECKING, Any

from rnn_core.data.labelled import Labelled

from .choosing.hidden_size import SizeChoice, choose_hidden_size
from .choosing.hints import h_score, leep, logme
from .choosing.strength import StrengthChoice, Trial, choose_strength
from .comparing.arms import Method, Pretraining, Start, Trained
from .comparing.classification import ClassificationStudy, Text
from .comparing.comparison import ARMS, CROSS_DOMAIN_ARMS, Arm, Comparison, Difference, Study, compare
from .comparing.data_study import Budget, DataStudy, Joint
from .comparing.task_study import Score, SourceTask, TargetTask, TaskStudy
from .domains.batches import DomainBatch, SideBySide, Unlabelled
from .domains.calibration import Calibration, calibrate, calibration_error
from .domains.losses.adversarial import DomainAdversarial
from .domains.losses.conditional import ConditionalAdversarial
from .domains.losses.confusion import ClassConfusion
from .domains.losses.correlation import DeepCORAL
from .domains.losses.discrepancy import MMD
from .domains.losses.entropy import EntropyMinimisation
from .domains.losses.loss import DomainLoss, Pull, Seen
from .domains.losses.pseudo_labels import PseudoLabels
from .domains.losses.reversal import reversal_strength
from .domains.model import DomainAdapted
from .features.caching import HeadOf, cached_features
from .federated.averaging import average, set_shared, shared_arrays
from .federated.client import LocalClient, LocalScore, LocalUpdate
from .federated.flower import flower_app, flower_arrays
from .federated.guard import Exchange, FlowerGuard
from .federated.secure import flower_secure_app
from .instances.alignment import Alignment, coral, subspace_alignment
from .instances.boosting import SequenceLearner, TrAdaBoost
from .instances.weights import density_ratio, effective_size, kernel_mean_matching
from .maps.kinds import LowRank, Scale, Square, TwoSided
from .maps.linear import LinearMap
from .maps.shared import SharedMap
from .methods.catalogue import Unsuited, arms_for
from .parameters.copying import copy_parameters
from .parameters.cross_domain import copy_recurrent, matched, rotated, scrambled
from .parameters.groups import parameter_groups, select
from .parameters.report import TransferReport, checksum
from .planning.freezing import Unfreezing, freeze, freeze_to, unfreeze
from .planning.plan import Plan
from .planning.planned import fit_plan
from .planning.rates import discriminative_rates
from .showing.saliency import Saliency, step_saliency
from .showing.saliency_figure import saliency_picture
from .tasks.adaptation import adapt, hessian_vector_product
from .tasks.episodes import Episode, Task, Tasks
from .tasks.heads import Head
from .tasks.meta import MAML, Reptile
from .tasks.mixture import Mixture, TaskBatch
from .tasks.multitask import MultiTask

if TYPE_CHECKING:
    from .features.estimator import RNNFeatures as RNNFeatures

__all__ = [
    "parameter_groups",
    "select",
    "copy_parameters",
    "TransferReport",
    "checksum",
    "freeze",
    "unfreeze",
    "freeze_to",
    "Plan",
    "Unfreezing",
    "discriminative_rates",
    "fit_plan",
    "choose_strength",
    "StrengthChoice",
    "Trial",
    "LinearMap",
    "Scale",
    "LowRank",
    "TwoSided",
    "Square",
    "SharedMap",
    "copy_recurrent",
    "scrambled",
    "matched",
    "rotated",
    "cached_features",
    "HeadOf",
    "MultiTask",
    "Head",
    "Mixture",
    "TaskBatch",
    "Task",
    "Tasks",
    "Episode",
    "adapt",
    "hessian_vector_product",
    "Reptile",
    "MAML",
    "LocalClient",
    "LocalUpdate",
    "LocalScore",
    "shared_arrays",
    "set_shared",
    "average",
    "flower_app",
    "flower_arrays",
    "flower_secure_app",
    "FlowerGuard",
    "Exchange",
    "kernel_mean_matching",
    "density_ratio",
    "effective_size",
    "TrAdaBoost",
    "SequenceLearner",
    "Alignment",
    "coral",
    "subspace_alignment",
    "DomainAdapted",
    "SideBySide",
    "DomainBatch",
    "Unlabelled",
    "DomainLoss",
    "Seen",
    "Pull",
    "MMD",
    "DeepCORAL",
    "DomainAdversarial",
    "reversal_strength",
    "ConditionalAdversarial",
    "ClassConfusion",
    "EntropyMinimisation",
    "PseudoLabels",
    "calibrate",
    "calibration_error",
    "Calibration",
    "h_score",
    "leep",
    "logme",
    "choose_hidden_size",
    "SizeChoice",
    "step_saliency",
    "Saliency",
    "saliency_picture",
    "compare",
    "Comparison",
    "Difference",
    "Study",
    "Arm",
    "ARMS",
    "CROSS_DOMAIN_ARMS",
    "Method",
    "Start",
    "Trained",
    "Pretraining",
    "arms_for",
    "Unsuited",
    "Budget",
    "DataStudy",
    "Joint",
    "ClassificationStudy",
    "TaskStudy",
    "SourceTask",
    "TargetTask",
    "Score",
    "Labelled",
    "Text",
]


def __getattr__(name: str) -> Any:
    """Import `RNNFeatures` when it is asked for: it needs scikit-learn, and so it is not in `__all__` either."""
    if name == "RNNFeatures":
        from .features.estimator import RNNFeatures

        return RNNFeatures
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
