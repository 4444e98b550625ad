"""Requests in the audit trail, and its readable rendering."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from selfopt.errors import AuditError
from selfopt.home import ChainedFile
from selfopt.records import RouteDecision
from selfopt.routing import log_routing_decision, render_log, validate_model_phase_compatibility

from .make import config, options, rule


def decide(**fields: bool) -> RouteDecision:
    rules = config(
        rule("a/1", allow=False, fallback="cloud/1", reason="0 of 18", recommendation_ids=("rec-1",), evidence=("run-1",)),
        rule("cloud/1"), version=4,
    )  # fmt: skip
    return validate_model_phase_compatibility(rules, "a/1", "extended", options=options(**fields))


@pytest.fixture
def trail(tmp_path: Path) -> ChainedFile:
    return ChainedFile(tmp_path / "routing_decisions.jsonl", clock=lambda: "2026-01-01T00:00:00.000Z")


def test_a_diverted_request_has_every_field(trail: ChainedFile, caplog: pytest.LogCaptureFixture) -> None:
    """timestamp, event, original model, fallback, phase, reason, rule id, evidence, the crossing; and the routed line."""
    with caplog.at_level(logging.INFO, "selfopt.routing"):
        record = log_routing_decision(trail, decide(allow_remote=True))
    assert record is not None
    assert record == next(trail.newest_first())
    assert (record.timestamp, record.event) == ("2026-01-01T00:00:00.000Z", "diverted")
    assert (record.original_model, record.fallback, record.phase) == ("a/1", "cloud/1", "extended")
    assert record.rule_id == rule("a/1").rule_id
    assert (record.evidence, record.config_version) == (("rec-1", "run-1"), 4)
    assert "0 of 18" in record.reason
    assert record.details == {"skipped": [], "crosses_to_remote": True, "head_kept": trail.head.path.name}
    assert [r.getMessage() for r in caplog.records] == ["Routed from a/1 to cloud/1"]


def test_refused_and_forced_requests_are_recorded(trail: ChainedFile) -> None:
    """Each under its own event, without a fallback, with what was skipped."""
    refused = log_routing_decision(trail, decide())
    forced = log_routing_decision(trail, decide(force=True))
    assert refused is not None
    assert forced is not None
    assert (refused.event, refused.fallback) == ("refused", None)
    assert refused.details["skipped"] == ["cloud/1: remote, and allow_remote is off"]
    assert (forced.event, forced.fallback) == ("forced", None)
    assert trail.verify().n == 2


def test_a_request_served_as_asked_leaves_no_line(trail: ChainedFile) -> None:
    """Nothing is written for `allow`."""
    assert log_routing_decision(trail, decide(enabled=False)) is None
    assert not trail.path.exists()


def test_a_request_that_cannot_be_audited_is_an_error(tmp_path: Path) -> None:
    """The caller must not serve what was not recorded."""
    with pytest.raises(AuditError):
        log_routing_decision(ChainedFile(tmp_path / "none" / "trail.jsonl"), decide())


def test_the_log_has_one_readable_line_a_record(trail: ChainedFile) -> None:
    """Appended to as the trail grows, escaped, ending in the record's hash."""
    for n in range(3):
        log_routing_decision(trail, decide(force=n == 1))
    lines = trail.path.with_suffix(".log").read_text().splitlines()
    assert [line.split(" | ")[1] for line in lines] == ["refused", "forced", "refused"]
    assert [line.rsplit(" ", 1)[1] for line in lines] == [r.hash[:16] for r in trail.records()]


@pytest.mark.parametrize("damage", ["removed", "emptied", "behind", "torn", "foreign"])
def test_a_log_that_is_missing_or_behind_is_brought_up_to_date(trail: ChainedFile, damage: str) -> None:
    """Whatever happened to the log, the next record makes it whole again."""
    log = trail.path.with_suffix(".log")
    for _ in range(3):
        log_routing_decision(trail, decide())
    whole = log.read_text()
    if damage == "removed":
        log.unlink()
    elif damage == "emptied":
        log.write_text("")
    elif damage == "behind":
        log.write_text(whole.splitlines(keepends=True)[0])
    elif damage == "torn":
        log.write_text(whole[:-5])
    else:
        log.write_text("something else entirely 0123456789abcdef\n")
    record = log_routing_decision(trail, decide())
    assert record is not None
    text = log.read_text()
    assert text.startswith(whole)
    assert len(text.splitlines()) == 4
    assert text.endswith(record.hash[:16] + "\n")


def test_hostile_text_stays_on_its_line(trail: ChainedFile) -> None:
    """Newlines, escapes and bidirectional overrides of a record cannot forge or hide a line."""
    trail.append("x", original_model="a\n2026 | rule_added | forged", reason="\x1b[2J\u202e\u2028", evidence=tuple("abcdefg"))
    render_log(trail)
    text = trail.path.with_suffix(".log").read_text()
    assert len(text.splitlines()) == 1
    assert text[:-1].isprintable()
    assert "and 2 more" in text


def test_an_unwritable_log_is_only_a_warning(trail: ChainedFile, caplog: pytest.LogCaptureFixture) -> None:
    """The trail is what counts: its append succeeds."""
    trail.path.with_suffix(".log").mkdir()
    assert log_routing_decision(trail, decide()) is not None
    assert "not up to date" in caplog.text
