"""Excerpts in words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from selfopt.records import AnswerExcerpt, Outcome, PromptExcerpt
from selfopt.words.excerpts import answer_lines, answer_title, asked_lines, failure_lines, one_line


def test_what_is_missing_is_said() -> None:
    """No reply, an empty one, no call, an unknown expectation."""
    answer = AnswerExcerpt(model="m", variant="v", letters="F", outcome=Outcome.MISSED, trial_id="t")
    assert ("replied", "(nothing came, or it was not kept)") in answer_lines(answer)
    assert ("read", "no call") in answer_lines(answer)
    assert ("replied", "(empty)") in answer_lines(answer.model_copy(update={"replies": ("",)}))
    assert list(asked_lines(PromptExcerpt(suite="s", prompt_id="A", kind="k", needs_call=True))) == [("expected", "a call")]
    assert answer_title(answer.model_copy(update={"letters": "FPP"})) == "m v: missed call (FPP)"


@given(st.text())
def test_hostile_text_stays_on_its_line(text: str) -> None:
    """Each line is printable, and there are as many as with harmless text."""

    def lines(value: str) -> list[str]:
        prompt = PromptExcerpt(suite="s", prompt_id="A", kind="k", needs_call=True, asked=((value, value),), expected=(value,))
        answer = AnswerExcerpt(
            model=value,
            variant=value,
            letters="F",
            outcome=Outcome.WRONG,
            trial_id=value,
            replies=(value,),
            calls=(value,),
            notes=(value,),
            why="w",
        )
        return failure_lines(prompt, answer)

    hostile = lines(text)
    assert len(hostile) == len(lines("x"))
    assert all(len(line.splitlines()) <= 1 and "\x1b" not in line for line in [*hostile, one_line(text)])
