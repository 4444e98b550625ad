"""The prompts in which the rows of a comparison differ, for terminals and as Markdown."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from selfopt.home import counted
from selfopt.records import AnswerExcerpt, Differences, Outcome, PromptDifference, PromptExcerpt
from selfopt.words.excerpts import answer_lines, answer_title, asked_lines, differences_sentence

from .escape import safe_markdown, safe_text
from .terminal import FAIL_STYLE, PASS_STYLE

_CHARACTERS = 800  # of one text


def differences_text(differences: Differences) -> RenderableType:
    """A paragraph for each prompt, made of lines that fit any width."""
    lines: list[RenderableType] = [Text(differences_sentence(differences), "bold")]
    for one in differences.prompts:
        lines += [Text(""), safe_text(_head(one.prompt), "bold blue", limit=200)]
        lines += [_line(name, text, 2) for name, text in asked_lines(one.prompt)]
        for answer in one.answers:
            lines.append(Padding(_title(answer), (0, 0, 0, 2)))
            lines += [_line(name, text, 4) for name, text in answer_lines(answer)]
    return Group(*lines, *(Text(line, "dim") for line in _left_out(differences)))


def _line(name: str, text: str, indent: int) -> RenderableType:
    return Padding(
        Text.assemble(safe_text(f"{name}: ", "dim"), safe_text(text, limit=_CHARACTERS), overflow="fold"), (0, 0, 0, indent)
    )


def _title(answer: AnswerExcerpt) -> Text:
    style = PASS_STYLE if answer.outcome is Outcome.PASS else FAIL_STYLE
    return safe_text(answer_title(answer), style, limit=300)


def _head(prompt: PromptExcerpt) -> str:
    return f"{prompt.prompt_id} ({prompt.suite}, {prompt.kind})"


def differences_markdown(differences: Differences) -> str:
    """A section for each prompt, in which nothing that a model wrote is markup."""
    lines = ["", "## Prompt by prompt", "", differences_sentence(differences)]
    for one in differences.prompts:
        lines += ["", f"### {safe_markdown(_head(one.prompt), limit=200)}", ""]
        lines += excerpt_bullets(one)
    left_out = _left_out(differences)
    return "\n".join([*lines, *([""] if left_out else []), *left_out]) + "\n"


def excerpt_bullets(one: PromptDifference, indent: str = "") -> list[str]:
    """What was asked, wanted, replied and read, as a nested list of Markdown."""
    lines = [f"{indent}- {safe_markdown(f'{name}: {text}', limit=_CHARACTERS)}" for name, text in asked_lines(one.prompt)]
    for answer in one.answers:
        lines.append(f"{indent}- **{safe_markdown(answer_title(answer), limit=300)}**")
        lines += [f"{indent}  - {safe_markdown(f'{name}: {text}', limit=_CHARACTERS)}" for name, text in answer_lines(answer)]
    return lines


def _left_out(differences: Differences) -> list[str]:
    more = differences.differing - len(differences.prompts)
    return [f"{counted(more, 'prompt')} more; --json shows up to 200"] if more > 0 else []
