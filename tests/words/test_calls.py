"""Tool calls, expectations and variants in words."""

from __future__ import annotations

from selfopt.records import ExpectedCall, ToolCall, Variant
from selfopt.variants import load_variants
from selfopt.words.calls import call_text, expected_text, variant_lines


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
