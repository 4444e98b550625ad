"""What the audit trail is told of a request."""

from __future__ import annotations

from dataclasses import replace

from selfopt.home import AuditEvent
from selfopt.records import RouteDecision
from selfopt.routing import event_of

from .ticket import Ticket


def audit_event(decision: RouteDecision, ticket: Ticket) -> AuditEvent:
    """The trail's record of a diverted or refused request, with the attempts made until now."""
    event = event_of(decision)
    assert event is not None
    details = {**event.fields.get("details", {}), **ticket.details()}
    return replace(event, fields={**event.fields, "details": details})
