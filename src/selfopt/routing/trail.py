"""The events of the audit trail about rules and requests, and its rendering for people."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selfopt.errors import StoreError
from selfopt.home import AuditEvent, AuditFields, ChainedFile, atomic_write_text, escape_control, guarded
from selfopt.records import AuditRecord, RouteDecision
from selfopt.words.rules import HASH_DIGITS, trail_line

from .changes import RuleChange
from .matching import format_routed_line

logger = logging.getLogger("selfopt.routing")

_EVENTS = {"fallback": "diverted", "refuse": "refused", "forced": "forced"}
_LAST_LINE_BYTES = 65_536


def event_of(decision: RouteDecision) -> AuditEvent | None:
    """The audit event of a diverted, refused or forced request; None if it was served as asked."""
    if decision.outcome == "allow":
        return None
    rule = decision.rule
    fields: AuditFields = {
        "original_model": decision.original_model,
        "fallback": decision.model if decision.outcome == "fallback" else None,
        "phase": decision.phase,
        "reason": decision.reason,
        "rule_id": rule.rule_id if rule else None,
        "config_version": decision.config_version,
        "evidence": (*rule.recommendation_ids, *rule.evidence) if rule else (),
        "details": {"skipped": list(decision.skipped), "crosses_to_remote": decision.crosses_to_remote},
    }
    return AuditEvent(_EVENTS[decision.outcome], fields)


def change_event(change: RuleChange, version: int, details: dict[str, Any]) -> AuditEvent:
    """The audit event of a changed rule. details: the cause, and the place among the changes."""
    rule = change.rule
    fields: AuditFields = {
        "original_model": rule.model,
        "fallback": rule.fallback,
        "phase": rule.phase,
        "reason": rule.reason,
        "rule_id": rule.rule_id,
        "config_version": version,
        "evidence": tuple(dict.fromkeys((*rule.recommendation_ids, *rule.evidence))),
        "details": {
            **details,
            "before": change.before.model_dump(mode="json") if change.before else None,
            "after": change.after.model_dump(mode="json") if change.after else None,
        },
    }
    return AuditEvent(change.event, fields)


def log_routing_decision(trail: ChainedFile, decision: RouteDecision) -> AuditRecord | None:
    """Appends a diverted, refused or forced request to the audit trail, and updates the readable
    log.

    It also logs "Routed from <model> to <fallback>" or "Refused <model> for <phase>" with the
    logger `selfopt.routing`.

    Returns:
        The record. None if the request was served as asked; then nothing is written.

    Raises:
        AuditError: the trail cannot be written.
    """
    event = event_of(decision)
    if event is None:
        return None
    record = trail.append_all([event])[0]
    if decision.outcome == "fallback" and decision.model is not None:
        logger.info(format_routed_line(decision.original_model, decision.model))
    elif decision.outcome == "refuse":  # the caller says why
        logger.info("Refused %s for %s", escape_control(decision.original_model, 200), decision.phase)
    else:
        logger.info("%s", escape_control(decision.reason, 1000))
    render_log(trail)
    return record


def render_log(trail: ChainedFile) -> None:
    """Updates the readable log, or rebuilds it if it is missing, damaged or from another trail.

    Only the trail proves anything, so a failure to write the log is a warning and not an error.
    """
    log = trail.path.with_suffix(".log")
    try:
        with guarded(log.with_name(f".{log.name}.lock"), what=f"the log {log}"):
            missing = _not_rendered(trail, _last_hash(log))
            if missing is None:
                atomic_write_text(log, "".join(_rendered(trail.records())), within=log.parent)
            elif missing:
                descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
                with open(descriptor, "w", encoding="utf-8") as file:
                    file.write("".join(_rendered(iter(missing))))
    except (StoreError, OSError) as error:
        logger.warning("the readable log %s is not up to date: %s", log, escape_control(str(error), 500))


def differing_log(trail: ChainedFile) -> bool:
    """Whether the readable log contradicts the trail. A log that is only behind does not."""
    try:
        with open(trail.path.with_suffix(".log"), "rb", opener=_without_waiting) as file:
            rendered = _rendered(trail.records())
            return any(line != next(rendered, "").encode() for line in file)
    except OSError:
        return True


def _without_waiting(path: str, flags: int) -> int:
    """Opens without waiting, so that a pipe of that name fails to be read and the log is rebuilt."""
    return os.open(path, flags | os.O_NONBLOCK)


def _rendered(records: Iterator[AuditRecord]) -> Iterator[str]:
    return (trail_line(record) + "\n" for record in records)


def _not_rendered(trail: ChainedFile, last: str | None) -> list[AuditRecord] | None:
    """The records after the last rendered one; None if that one is not in the trail."""
    if last is None:
        return None
    newer: list[AuditRecord] = []
    for record in trail.newest_first():
        if record.hash.startswith(last):
            return newer[::-1]
        newer.append(record)
    return None


def _last_hash(log: Path) -> str | None:
    """The digits at the end of the log; None if it is missing, empty or ends in an incomplete line."""
    with contextlib.suppress(OSError), open(log, "rb", opener=_without_waiting) as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _LAST_LINE_BYTES))
        tail = file.read()
        digits = tail[-HASH_DIGITS - 1 : -1].decode("ascii", "replace")
        if tail.endswith(b"\n") and len(digits) == HASH_DIGITS and digits.isalnum():
            return digits
    return None
