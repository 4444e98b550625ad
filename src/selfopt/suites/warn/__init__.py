"""What does not make a suite unusable but its figures worth less; docs/SUITES.md lists the codes.

find_warnings(suite, passes) collects all; `passes` says whether calls would pass a prompt (the scorer's word, handed in
because parts do not import each other).
"""

from .base import CODES, Passes, SuiteWarning
from .collect import find_warnings
from .trivial import PolicyScore, trivial_scores

__all__ = ["CODES", "Passes", "PolicyScore", "SuiteWarning", "find_warnings", "trivial_scores"]
