"""What a reflection model brought, in words."""

from __future__ import annotations

from collections.abc import Mapping

from selfopt.home import counted, escape_control
from selfopt.records import EditRefusal, Reflection, RefusedEdit, Unanswered

_UNANSWERED: Mapping[Unanswered, str] = {
    "timeout": "it did not answer in time",
    "loading": "its server was still loading it",
    "error": "its server failed",
    "no_json": "its answer held no edits",
}
_REFUSED: Mapping[EditRefusal, str] = {
    "malformed": "it is not of the asked form",
    "unknown_part": "it names a part that there is not",
    "unknown_choice": "it names a choice that there is not",
    "unknown_tool": "its examples use tools that were not shown",
    "too_long": "it is too long",
    "impossible": "its choices exclude each other, or the server can't be asked so",
    "repeated": "it was tried before, or changes nothing",
    "too_many": "there were too many at once",
}
REFUSED_NAMES: Mapping[EditRefusal, str] = {
    "malformed": "of another form",
    "unknown_part": "with an unknown part",
    "unknown_choice": "with an unknown choice",
    "unknown_tool": "with unknown tools",
    "too_long": "too long",
    "impossible": "that exclude themselves",
    "repeated": "repeated",
    "held_out": "with held-out material",
    "search_prompt": "with prompts of the search",
    "too_many": "too many at once",
}
"""What is counted of each sort of refused edits."""
_SHOWN = 3


def reflection_text(reflection: Reflection) -> str:
    """One line about a question to a reflection model."""
    model = escape_control(reflection.model, 200)
    if reflection.unanswered is not None:
        return f"{model} was asked what would help: {_UNANSWERED[reflection.unanswered]}"
    told = [f"{model} proposes {counted(len(reflection.edits), 'edit')}"]
    return "; ".join([*told, *(f"refused: {refusal_text(one)}" for one in reflection.refused)])


def refusal_text(edit: RefusedEdit) -> str:
    """Why an edit is refused. Of prompts it names the ids alone."""
    if edit.refusal in ("held_out", "search_prompt"):
        kind = "held-out" if edit.refusal == "held_out" else "search"
        named = ", ".join(escape_control(one, 80) for one in edit.prompt_ids[:_SHOWN])
        more = f" and {len(edit.prompt_ids) - _SHOWN} more" if len(edit.prompt_ids) > _SHOWN else ""
        word = "prompt" if len(edit.prompt_ids) == 1 else "prompts"
        return f"it repeats {kind} {word} {named}{more}"
    return _REFUSED[edit.refusal]
