"""What a network has learned, carried over to another task: copied, frozen, adapted, compared with a fresh start."""

from .comparison import ARMS, Arm, Comparison, Difference, Study, compare
from .copying import copy_parameters
from .freezing import freeze, freeze_to, unfreeze
from .groups import parameter_groups, select
from .plan import Plan
from .report import TransferReport, checksum

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
    "compare",
    "Comparison",
    "Difference",
    "Study",
    "Arm",
    "ARMS",
]
