"""harness_feedback.json."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from selfopt.errors import CorruptError, NewerSchemaError
from selfopt.feedback import analyze, load_feedback, save_feedback
from tests.feedback.world import NOW, evaluation, options

FEEDBACK = analyze([evaluation(["WWW"] * 12, phase="extended"), evaluation(["XXX"] * 12)], options())


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    """Findings, recommendations, figures: all of it, and a second save replaces the first."""
    path = tmp_path / "harness_feedback.json"
    save_feedback(path, FEEDBACK)
    assert load_feedback(path) == FEEDBACK
    later = FEEDBACK.model_copy(update={"generated_at": "2027-01-01T00:00:00.000Z"})
    save_feedback(path, later)
    assert load_feedback(path) == later


def test_a_recommendation_has_the_documented_keys(tmp_path: Path) -> None:
    """Other programs read this file."""
    path = tmp_path / "harness_feedback.json"
    save_feedback(path, FEEDBACK)
    body = json.loads(path.read_text("utf-8"))
    keys = {"id", "type", "model", "phase", "action", "allow", "fallback", "requirements", "reason", "evidence", "confidence"}
    assert all(keys <= set(r) for r in body["recommendations"])
    assert body["schema_version"] == 1


def test_a_missing_file_is_file_not_found(tmp_path: Path) -> None:
    """The caller decides what that means."""
    with pytest.raises(FileNotFoundError):
        load_feedback(tmp_path / "none.json")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "\x00\x01",
        json.dumps({"schema_version": 1}),
        json.dumps({"schema_version": 1, "generated_at": NOW, "what": 1}),
        json.dumps({"schema_version": 1, "generated_at": NOW, "findings": [{"\x1b[31m": 1}]}),
        json.dumps({"generated_at": NOW}),
    ],
)
def test_a_damaged_file_is_named_refused_and_left_as_it_is(tmp_path: Path, text: str) -> None:
    """Neither loading nor saving touches it; nothing in the message can steer a terminal."""
    path = tmp_path / "harness_feedback.json"
    path.write_text(text, "utf-8")
    for attempt in (lambda: load_feedback(path), lambda: save_feedback(path, FEEDBACK)):
        with pytest.raises(CorruptError, match=r"harness_feedback\.json") as caught:
            attempt()
        assert "\x1b" not in str(caught.value)
        assert "\n" not in str(caught.value)
    assert path.read_text("utf-8") == text


def test_a_newer_schema_is_named_refused_and_left_as_it_is(tmp_path: Path) -> None:
    """An older program must not overwrite what a newer one wrote."""
    path = tmp_path / "harness_feedback.json"
    text = json.dumps({"schema_version": 2, "generated_at": NOW})
    path.write_text(text, "utf-8")
    for attempt in (lambda: load_feedback(path), lambda: save_feedback(path, FEEDBACK)):
        with pytest.raises(NewerSchemaError, match="2"):
            attempt()
    assert path.read_text("utf-8") == text
