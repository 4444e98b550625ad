"""What a reflection model brought is told in one line, without what it wrote."""

from __future__ import annotations

from typing import get_args

import pytest

from selfopt.records import EditRefusal, Exchange, ReflectedEdit, Reflection, RefusedEdit, Unanswered
from selfopt.words.reflecting import reflection_text, refusal_text


def reflection(**fields: object) -> Reflection:
    """A question to a model with an odd name."""
    base: dict[str, object] = {
        "reflection_id": "s/reflection/0",
        "search_id": "s",
        "number": 0,
        "batches": 1,
        "model": "far/r\x1b[2J",
        "parent": {},
        "prompt_ids": ("p1",),
        "exchange": Exchange(attempts=()),
        "at": "2026-01-02T03:04:05.678Z",
    }
    return Reflection.model_validate({**base, **fields})


def test_edits_are_counted_and_refusals_told() -> None:
    """What was written stays out of it."""
    refused = (RefusedEdit(refusal="held_out", prompt_ids=("h1",), detail="secret"), RefusedEdit(refusal="malformed"))
    text = reflection_text(reflection(edits=(ReflectedEdit(point={}),), refused=refused))
    assert text.endswith("proposes 1 edit; refused: it repeats held-out prompt h1; refused: it is not of the asked form")
    assert "\x1b" not in text
    assert "secret" not in text


def test_many_prompts_are_named_in_part() -> None:
    """Three, and how many more."""
    edit = RefusedEdit(refusal="search_prompt", prompt_ids=tuple("abcde"))
    assert refusal_text(edit) == "it repeats search prompts a, b, c and 2 more"


@pytest.mark.parametrize("why", get_args(Unanswered))
def test_every_reason_for_no_answer_has_words(why: Unanswered) -> None:
    """One line each."""
    text = reflection_text(reflection(unanswered=why))
    assert "was asked what would help: " in text
    assert "\n" not in text


@pytest.mark.parametrize("refusal", get_args(EditRefusal))
def test_every_refusal_has_words(refusal: EditRefusal) -> None:
    """One line each."""
    assert refusal_text(RefusedEdit(refusal=refusal, prompt_ids=("p",))).startswith(("it ", "its ", "there "))
