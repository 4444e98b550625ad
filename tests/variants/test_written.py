"""Written choices are named by their content, and compose like any other."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from selfopt.errors import VariantError
from selfopt.records import Example, Message, WrittenChoice
from selfopt.variants.space import composed, point_of, point_text, readings_of
from selfopt.variants.written import is_written, names_written

EXAMPLES = (Example(messages=(Message(role="user", content="Hello."),)),)


def test_a_point_names_a_written_choice_as_any_other() -> None:
    """In its place, in its readings, and the variant's hash follows from what it holds."""
    one, same, other = (WrittenChoice.of(s, t, by="b") for s, t in (("s", "Be brief."), ("z", "Be brief."), ("s", "Be long.")))
    assert one.name == same.name != other.name
    point = point_of({"backing": "strict", "instructions": one.name})
    assert point_text(point) == f"instructions={one.name} backing=strict"
    assert names_written(point) == (one.name,)
    assert all(reading["instructions"] == one.name for reading in readings_of(point))
    hashes = [composed({"instructions": w.name}, written={w.name: w}).variant_hash for w in (one, same, other)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_written_examples_are_turns_of_their_own() -> None:
    """As those of the catalogue are."""
    choice = WrittenChoice.of("s", EXAMPLES, by="b")
    variant = composed({"examples": choice.name, "tools": "brief"}, written={choice.name: choice})
    assert variant.examples == EXAMPLES
    assert variant.options == {"layout": "turn", "tool_style": "brief"}


def test_what_is_not_given_is_refused_in_one_line() -> None:
    """Also a choice of another part, and a name of another form."""
    choice = WrittenChoice.of("s", "Be brief.", by="b")
    with pytest.raises(VariantError, match="written during a search"):
        composed({"instructions": choice.name})
    with pytest.raises(VariantError, match="written during a search"):
        composed({"examples": choice.name}, written={choice.name: choice})
    for part, name in (("instructions", "w-1"), ("instructions", "W-00000000"), ("tools", choice.name)):
        assert not is_written(part, name)
        with pytest.raises(VariantError, match="no choice"):
            point_of({part: name})


@pytest.mark.parametrize(
    "content", ["", "  ", "x" * 601, (), EXAMPLES * 4, (Example(messages=(Message(role="user", content="x" * 13_000),)),)]
)
def test_what_is_written_is_neither_empty_nor_long(content: str | tuple[Example, ...]) -> None:
    """Whoever wrote it."""
    with pytest.raises(ValidationError):
        WrittenChoice.of("s", content, by="b")


def test_a_name_that_does_not_follow_from_the_content_is_refused() -> None:
    """So what a point names can't be exchanged."""
    kept = WrittenChoice.of("s", "Be brief.", by="b").model_dump()
    assert WrittenChoice.model_validate(kept).instructions == "Be brief."
    for changed in ({"instructions": "Be long."}, {"name": "w-00000000"}, {"written_id": "z/w"}, {"examples": EXAMPLES}):
        with pytest.raises(ValidationError):
            WrittenChoice.model_validate({**kept, **changed})
