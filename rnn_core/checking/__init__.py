"""Gradient checks: every element of every hand-written gradient against a derivative obtained another way."""

from .check import gradcheck
from .problem import Problem
from .report import GradientReport, GradientRow
from .suite import Case, standard_cases

__all__ = ["Case", "GradientReport", "GradientRow", "Problem", "gradcheck", "standard_cases"]
