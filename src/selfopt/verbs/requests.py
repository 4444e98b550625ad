"""Live requests as gateways recorded them, for the page."""

from __future__ import annotations

from selfopt.gateway.recorded import RecordedRequests, RecordPlace
from selfopt.gateway.ticket import FeedbackRecord, JournalRecord, LiveAttempt, RequestRecord
from selfopt.wiring.app import App

__all__ = ["FeedbackRecord", "JournalRecord", "LiveAttempt", "RecordPlace", "RecordedRequests", "RequestRecord", "recorded"]


def recorded(app: App) -> RecordedRequests:
    """Return what reads the requests of this home."""
    return RecordedRequests(app.home.requests)
