"""An event, before and as it is written to the audit trail."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypedDict

from .chain_line import sealed_body


class AuditFields(TypedDict, total=False):
    """The fields of an audit record that its writer chooses, besides the event's name."""

    original_model: str | None
    fallback: str | None
    phase: str | None
    reason: str
    rule_id: str | None
    config_version: int | None
    evidence: tuple[str, ...]
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One event to append. details: JSON values."""

    event: str
    fields: AuditFields = field(default_factory=AuditFields)


def event_body(event: AuditEvent, timestamp: str, previous_hash: str, told: dict[str, Any]) -> dict[str, Any]:
    """told: what the file has to say of itself besides."""
    fields = event.fields
    details = {**fields.get("details", {}), **told}
    return sealed_body(
        {
            "timestamp": timestamp,
            "event": event.event,
            "original_model": fields.get("original_model"),
            "fallback": fields.get("fallback"),
            "phase": fields.get("phase"),
            "reason": fields.get("reason", ""),
            "rule_id": fields.get("rule_id"),
            "config_version": fields.get("config_version"),
            "evidence": list(fields.get("evidence", ())),
            "details": details,
            "previous_hash": previous_hash,
        }
    )
