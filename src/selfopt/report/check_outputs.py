"""What a check writes for others: JUnit XML, annotations of GitHub, and a summary in Markdown.

Prompts and replies are hostile: in none of these can they end what they stand in, or start something.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from selfopt.home import escape_control
from selfopt.records import Check, CheckedPrompt, CheckFigure, Differences, PromptDifference
from selfopt.words.check_outputs import prompt_text, reason_with_prompts
from selfopt.words.checks import CRITERIA, compared_text, cost_text, figure_text, verdict_text
from selfopt.words.excerpts import answer_lines, answer_title, asked_lines

from .check_page import telling_rows
from .differences import excerpt_bullets
from .escape import code, safe_markdown
from .markdown import table

SUMMARY_MAX_BYTES = 1024 * 1024
"""GitHub keeps at most so much of a step's summary."""
_ANNOTATIONS = 10  # GitHub shows so many of each sort for a step
_ANNOTATION_CHARACTERS = 4_000
_TEXT_CHARACTERS = 800
_NOT_IN_XML = re.compile("[\ufffe\uffff]")
Standing = Literal["pass", "fail", "undecided"]


def check_junit(check: Check, differences: Differences | None = None) -> str:
    """JUnit XML: a test case for each criterion and each prompt. Something fails in it exactly if the check does.

    A prompt alone fails where it must pass. What else became of it is in its `system-out`.

    Args:
        differences: prompts with what was replied, if they are at hand.
    """
    root = ET.Element("testsuites", {"name": "selfopt check"})
    told = _by_id(differences)
    criteria = [
        (f"{check.suite}.check", CRITERIA[f.criterion], _standing(check, f.verdict), _of_figure(check, f), "")
        for f in check.figures
    ]
    prompts = [
        (f"{check.suite}.{row.prompt_kind}", row.prompt_id, _standing(check, row.verdict), prompt_text(row), _excerpt(row, told))
        for row in check.rows
    ]
    for name, cases in ((f"check of {check.suite}", criteria), (f"prompts of {check.suite}", prompts)):
        standings = [case[2] for case in cases]
        suite = ET.SubElement(root, "testsuite", {"name": _xml(name), "tests": str(len(cases)), "errors": "0"})
        suite.set("failures", str(standings.count("fail")))
        suite.set("skipped", str(standings.count("undecided")))
        suite.set("timestamp", _xml(check.at[:19]))
        for classname, case_name, standing, text, more in cases:
            case = ET.SubElement(suite, "testcase", {"classname": _xml(classname), "name": _xml(case_name), "time": "0"})
            if standing != "pass":
                found = ET.SubElement(case, "failure" if standing == "fail" else "skipped", {"message": _xml(text)})
                found.set("type", standing)
                found.text = _xml_lines(more or text)
            else:
                ET.SubElement(case, "system-out").text = _xml_lines(f"{text}\n{more}" if more else text)
    for key in ("tests", "failures", "errors"):
        root.set(key, str(sum(int(suite.get(key, "0")) for suite in root)))
    return _document(root)


def unjudged_junit(file: str, message: str, *, kind: str) -> str:
    """JUnit XML of a check that came to no verdict: one case with an `<error>`.

    Args:
        file: the check file.
        message: why.
        kind: the error's `type`.
    """
    counts = {"tests": "1", "failures": "0", "errors": "1"}
    root = ET.Element("testsuites", {"name": "selfopt check", **counts})
    suite = ET.SubElement(root, "testsuite", {"name": _xml(f"check of {file}"), **counts, "skipped": "0"})
    case = ET.SubElement(suite, "testcase", {"classname": "selfopt.check", "name": _xml(file), "time": "0"})
    ET.SubElement(case, "error", {"message": _xml(message), "type": kind}).text = _xml(message)
    return _document(root)


def _document(root: ET.Element) -> str:
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _standing(check: Check, verdict: Standing | None) -> Standing:
    """What a verdict counts as: undecided may fail the build, and is skipped where it may not."""
    if verdict == "undecided" and not check.passes:
        return "fail"
    # What fails within a check that passes as a whole is told, and fails nothing.
    return "pass" if verdict is None or (verdict == "fail" and check.passes) else verdict


def _of_figure(check: Check, figure: CheckFigure) -> str:
    reasons = [reason_with_prompts(reason, check) for reason in check.reasons if reason.criterion == figure.criterion]
    return "; ".join([figure_text(figure), *reasons])


def _by_id(differences: Differences | None) -> Mapping[str, PromptDifference]:
    return {} if differences is None else {one.prompt.prompt_id: one for one in differences.prompts}


def _excerpt(row: CheckedPrompt, told: Mapping[str, PromptDifference]) -> str:
    one = told.get(row.prompt_id)
    return "" if one is None else "\n".join(_excerpt_lines(one))


def _excerpt_lines(one: PromptDifference) -> Iterator[str]:
    for name, text in asked_lines(one.prompt):
        yield f"{name}: {escape_control(text, _TEXT_CHARACTERS)}"
    for answer in one.answers:
        yield escape_control(answer_title(answer), 300)
        for name, text in answer_lines(answer):
            yield f"  {name}: {escape_control(text, _TEXT_CHARACTERS)}"


def _xml(text: str) -> str:
    """One line in which each character is one that XML 1.0 allows."""
    return _NOT_IN_XML.sub(lambda found: f"\\u{ord(found[0]):04x}", escape_control(text, _ANNOTATION_CHARACTERS))


def _xml_lines(text: str) -> str:
    return "\n".join(map(_xml, text.split("\n")))


def check_annotations(check: Check) -> list[str]:
    """Commands of GitHub's workflows: an error for each reason that fails the build, a warning for others."""
    level: Literal["error", "warning"] = "warning" if check.passes else "error"
    found = [
        _annotation(level, f"selfopt check: {CRITERIA[reason.criterion]}", check.file, reason_with_prompts(reason, check))
        for reason in check.reasons
    ]
    return found[:_ANNOTATIONS]


def unjudged_annotation(file: str, message: str) -> str:
    """The command of GitHub's workflows for a check that came to no verdict."""
    return _annotation("error", "selfopt check", file, message)


def _annotation(level: Literal["error", "warning"], title: str, file: str, message: str) -> str:
    where = f"file={_property(file)}," if file else ""
    return f"::{level} {where}title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    return escape_control(text, _ANNOTATION_CHARACTERS).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def check_markdown(check: Check, differences: Differences | None = None, *, max_bytes: int = SUMMARY_MAX_BYTES) -> str:
    """A summary for a pull request, of at most so many bytes; what does not fit is counted."""
    mark = "✅" if check.verdict == "pass" else "❌" if not check.passes else "⚠️"
    lines = [f"## {mark} selfopt check", "", safe_markdown(verdict_text(check)), ""]
    lines += table(["", "verdict", "what was seen"], [_figure_row(figure) for figure in check.figures])
    lines += ["", *(f"- {safe_markdown(reason_with_prompts(reason, check), limit=2_000)}" for reason in check.reasons)]
    lines += ["", *(f"{safe_markdown(line)}  " for line in (compared_text(check), cost_text(check)) if line), ""]
    changed = telling_rows(check)
    sections = []
    if changed:
        lines += ["### Prompts", ""]
        told = _by_id(differences)
        sections = [_section(row, told.get(row.prompt_id)) for row in changed]
    text = "\n".join(lines)
    return _fitting(text, sections, max_bytes)


def unjudged_markdown(file: str, message: str, *, max_bytes: int = SUMMARY_MAX_BYTES) -> str:
    """A summary of a check that came to no verdict, of at most so many bytes."""
    lines = ["## ⚠️ selfopt check", "", f"{code(file)}: no verdict", "", f"- {safe_markdown(message, limit=2_000)}"]
    return _fitting("\n".join(lines), [], max_bytes)


def _fitting(text: str, sections: Sequence[str], max_bytes: int) -> str:
    """A text with as many of its sections as fit."""
    room = max_bytes - len(text.encode()) - 100
    made = [text]
    for number, section in enumerate(sections):
        room -= len(section.encode()) + 1
        if room < 0:
            made.append(f"\n{len(sections) - number} more prompts are left out.")
            break
        made.append(section)
    return "\n".join(made).encode()[: max(0, max_bytes - 1)].decode("utf-8", "ignore").rstrip() + "\n"


def _figure_row(figure: CheckFigure) -> list[str]:
    return [CRITERIA[figure.criterion], figure.verdict, figure_text(figure)]  # figures alone, and no word of others


def _section(row: CheckedPrompt, one: PromptDifference | None) -> str:
    head = f"- **{code(row.prompt_id)}** ({safe_markdown(row.prompt_kind)}): {safe_markdown(prompt_text(row))}"
    lines = [] if one is None else excerpt_bullets(one, "  ")
    return "\n".join([head, *lines])
