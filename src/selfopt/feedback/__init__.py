"""Evaluations -> findings (one detector a file) -> recommendations, and the file that keeps the newest of them."""

from .analyze import analyze, default_detectors
from .capability_limit import CapabilityLimit
from .ceiling import Ceiling
from .cold_start import ColdStart
from .drift import Drift
from .flaky import Flaky
from .infrastructure import Infrastructure
from .options import FeedbackOptions, ReferenceSuite
from .reading import best_known
from .store import FEEDBACK_SCHEMA_VERSION, load_feedback, save_feedback
from .truncation import Truncation
from .unread_format import UnreadFormat

__all__ = [
    "FEEDBACK_SCHEMA_VERSION",
    "CapabilityLimit",
    "Ceiling",
    "ColdStart",
    "Drift",
    "FeedbackOptions",
    "Flaky",
    "Infrastructure",
    "ReferenceSuite",
    "Truncation",
    "UnreadFormat",
    "analyze",
    "best_known",
    "default_detectors",
    "load_feedback",
    "save_feedback",
]
