"""Tool calls, expectations and variants in words."""

from __future__ import annotations

from typing import get_args

from selfopt.records import UNKNOWN_FORMAT, Correction, CorrectionKind, ExpectedCall, ParsedReply, ToolCall, Variant
from selfopt.variants import load_variants
from selfopt.words.calls import call_text, expected_text, reading_notes, unread_note, variant_lines


def test_a_call_reads_as_it_would_be_written() -> None:
    """Names with JSON values; what is too deep is named."""
    assert call_text(ToolCall(name="f", arguments={"a": "x", "b": [1, None]})) == 'f(a="x", b=[1, null])'
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    shown = call_text(ToolCall.model_construct(name="f", arguments={"a": deep}))
    assert shown == "f(a=a list that is too deep to show)"


def test_expectations_read_as_alternatives() -> None:
    """Accepted values, what may be left out, several calls, several sets, any call, none."""
    call = ExpectedCall(name="f", arguments={"a": ["x", "y"], "b": ["", 3], "c": [""]})
    assert expected_text([[call]]) == ['f(a="x" or "y"; b=3, or left out; c, or left out)']
    guests = ExpectedCall(name="f", arguments={"guests": ["", {"any_order": ["Ann", "Bo"]}]})
    assert expected_text([[guests]]) == ['f(guests=["Ann", "Bo"] in any order, or left out)']
    two = ExpectedCall(name="g", arguments={})
    assert expected_text([[call, two], []])[1] == "or no call"
    assert " and g()" in expected_text([[call, two]])[0]
    assert expected_text([[]]) == ["no call"]
    assert expected_text("any") == ["any call"]
    assert expected_text([]) == []


def test_a_variant_shows_what_it_sets() -> None:
    """Only fields that say something, examples in short, the hash at the end."""
    lines = variant_lines(Variant(name="x"))
    assert lines[0] == "name: x"
    assert not any(line.startswith(("title", "tag", "state_digest")) for line in lines)
    assert lines[-1].startswith("variant_hash: variant-")
    assert any(line.startswith("example: ") and " -> " in line for line in variant_lines(load_variants()["few_shot"]))


def test_what_was_not_read_and_what_was_changed_is_noted() -> None:
    """A line each, with the tool and the argument."""
    unread = ParsedReply(unread="glm45", read_by="all@2", excerpt="<tool_call>f")
    assert reading_notes(unread) == ["seems to hold a call as glm45, which is not read; all@2 reads it"]
    strange = ParsedReply(recognised="unread", unread=UNKNOWN_FORMAT)
    assert (
        unread_note(strange, "v")
        == "the reply seems to hold a call in a format of no known family, which variant v does not read"
    )
    made = tuple(Correction(kind=kind, tool="f", argument=None if "call" in kind else "x") for kind in get_args(CorrectionKind))
    notes = reading_notes(ParsedReply(call_in_thinking=True, corrections=made))
    assert len(set(notes)) == len(made) + 1
    assert any(note.startswith("f(x): ") for note in notes)
