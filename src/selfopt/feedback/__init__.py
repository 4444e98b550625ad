"""Evaluations -> findings (one detector a file) -> recommendations, and the file that keeps the newest of them."""

from .analyze import analyze, default_detectors
from .detectors.capability_limit import CapabilityLimit
from .detectors.ceiling import Ceiling
from .detectors.cold_start import ColdStart
from .detectors.drift import Drift
from .detectors.flaky import Flaky
from .detectors.infrastructure import Infrastructure
from .detectors.truncation import Truncation
from .detectors.unread_format import UnreadFormat
from .options import FeedbackOptions, ReferenceSuite
from .reading import best_known
from .store import FEEDBACK_SCHEMA_VERSION, load_feedback, save_feedback

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
