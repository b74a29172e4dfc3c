"""Gradient checks: every element of every hand-written gradient against a derivative obtained another way."""

from .check import gradcheck
from .places import Axis
from .problem import Problem
from .report import GradientReport, GradientRow
from .suite import Case, standard_cases

__all__ = ["Axis", "Case", "GradientReport", "GradientRow", "Problem", "gradcheck", "standard_cases"]
