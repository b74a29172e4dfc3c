"""What a network has learned, carried over to another task: copied, frozen, adapted, compared with a fresh start."""

from typing import TYPE_CHECKING, Any

from .adaptation import adapt, hessian_vector_product
from .alignment import Alignment, coral, subspace_alignment
from .arms import Method, Pretraining, Start, Trained
from .averaging import average, set_shared, shared_arrays
from .boosting import SequenceLearner, TrAdaBoost
from .caching import HeadOf, cached_features
from .catalogue import Unsuited, arms_for
from .classification import ClassificationStudy, Text
from .comparison import ARMS, CROSS_DOMAIN_ARMS, Arm, Comparison, Difference, Study, compare
from .copying import copy_parameters
from .cross_domain import copy_recurrent, matched, rotated, scrambled
from .data_study import Budget, DataStudy, Joint
from .episodes import Episode, Task, Tasks
from .federated import LocalClient, LocalScore, LocalUpdate
from .flower import flower_app, flower_arrays
from .freezing import Unfreezing, freeze, freeze_to, unfreeze
from .groups import parameter_groups, select
from .heads import Head
from .hints import h_score, leep, logme
from .instances import density_ratio, effective_size, kernel_mean_matching
from .labelled import Labelled
from .linear_map import LinearMap
from .map_kinds import LowRank, Scale, Square, TwoSided
from .meta import MAML, Reptile
from .mixture import Mixture, TaskBatch
from .model_choice import SizeChoice, choose_hidden_size
from .multitask import MultiTask
from .plan import Plan
from .planned import fit_plan
from .rates import discriminative_rates
from .report import TransferReport, checksum
from .saliency import Saliency, step_saliency
from .saliency_figure import saliency_picture
from .shared_map import SharedMap
from .strength import StrengthChoice, Trial, choose_strength

if TYPE_CHECKING:
    from .features import RNNFeatures as RNNFeatures

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
    "kernel_mean_matching",
    "density_ratio",
    "effective_size",
    "TrAdaBoost",
    "SequenceLearner",
    "Alignment",
    "coral",
    "subspace_alignment",
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
    "Labelled",
    "Text",
]


def __getattr__(name: str) -> Any:
    """Import `RNNFeatures` when it is asked for: it needs scikit-learn, and so it is not in `__all__` either."""
    if name == "RNNFeatures":
        from .features import RNNFeatures

        return RNNFeatures
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
