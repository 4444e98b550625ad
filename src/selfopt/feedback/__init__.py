"""Turns evaluations into findings and recommendations, and keeps the newest in a file."""

from .analyze import analyze
from .comparable import best_known, cells, comparable, make_finding, named
from .detectors import DETECTORS
from .standing import FeedbackOptions, ReferenceSuite
from .store import FEEDBACK_SCHEMA_VERSION, load_feedback, save_feedback

__all__ = [
    "DETECTORS",
    "FEEDBACK_SCHEMA_VERSION",
    "FeedbackOptions",
    "ReferenceSuite",
    "analyze",
    "best_known",
    "cells",
    "comparable",
    "load_feedback",
    "make_finding",
    "named",
    "save_feedback",
]
