"""How long ago something was."""

from __future__ import annotations

from datetime import UTC, datetime

from .drawing import NONE, ago


def age(at: str | None, now: datetime | None = None) -> str:
    """Return how long ago a record's time was; a dash for None, and for what is no time."""
    if at is None:
        return NONE
    try:
        then = datetime.fromisoformat(at)
    except ValueError:
        return NONE
    return ago(max(0.0, ((now or datetime.now(UTC)) - then.astimezone(UTC)).total_seconds()))
