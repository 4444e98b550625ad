"""Live requests as gateways recorded them, for the page."""

from __future__ import annotations

from selfopt.gateway.recorded import RecordedRequests, RecordPlace
from selfopt.gateway.savings import cost_as_asked
from selfopt.gateway.ticket import FeedbackRecord, JournalRecord, LiveAttempt, RequestRecord
from selfopt.wiring.app import App

__all__ = [
    "FeedbackRecord",
    "JournalRecord",
    "LiveAttempt",
    "RecordPlace",
    "RecordedRequests",
    "RequestRecord",
    "as_asked",
    "recorded",
]


def as_asked(app: App, record: RequestRecord) -> float | None:
    """Return what a request would have cost on the model that was asked for: an estimate, by the prices in force now."""
    return cost_as_asked(record, app.settings.cost_of, app.settings.one_name)


def recorded(app: App) -> RecordedRequests:
    """Return what reads the requests of this home."""
    return RecordedRequests(app.home.requests)
