"""JUnit XML, annotations and the summary of a check: they say what it says, and nothing in them can end them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from selfopt.records import (
    AnswerExcerpt,
    Check,
    CheckedPrompt,
    CheckFigure,
    CheckReason,
    Differences,
    Outcome,
    PromptDifference,
    PromptExcerpt,
)
from selfopt.report import check_annotations, check_junit, check_markdown

P, MISSED = Outcome.PASS, Outcome.MISSED
NASTY = (
    "]]>",
    "::error::x",
    "\n::stop-commands::t",
    "a|b",
    "`x`",
    "```",
    "\x1b[2J",
    "\x00",
    "\ufffe",
    "\ud800",
    "<script>",
    "&lt;",
    "%0A",
    "\r\n",
    "[x](http://e)",
    "<!--",
    "\u202e",
    "</testsuite>",
)
texts = st.text() | st.lists(st.sampled_from(NASTY) | st.text(max_size=5), max_size=6).map("".join)


def finished(verdict: Any = "fail", **changes: Any) -> Check:
    """A check of three prompts, of which one got worse."""
    criterion = "regression"
    reasons = (
        ()
        if verdict == "pass"
        else (CheckReason(criterion=criterion, verdict=verdict, cause=None if verdict == "fail" else "cap"),)
    )
    body: dict[str, Any] = {
        "check_id": "check-1",
        "key": "k",
        "file": "selfopt.check.yaml",
        "verdict": verdict,
        "reasons": reasons,
        "figures": (
            CheckFigure(
                criterion=criterion,
                verdict=verdict,
                method="one_arm",
                value=0.7,
                before=0.9,
                change=-0.2,
                low=-0.3,
                high=-0.1,
                threshold=0.05,
                asked=90,
                alpha=0.01,
            ),
            CheckFigure(criterion="accuracy", verdict="pass", method="one_arm", value=0.7, threshold=0.6, asked=90, alpha=0.01),
        ),
        "rows": (
            CheckedPrompt(prompt_id="A1", prompt_kind="direct", needs_call=True, now=(P, P), before=(P,)),
            CheckedPrompt(prompt_id="A2", prompt_kind="direct", needs_call=True, now=(MISSED, P), before=(P,)),
            CheckedPrompt(prompt_id="A3", prompt_kind="greeting", needs_call=False, now=(P,), must_pass=True, verdict="pass"),
        ),
        "model": "scripted/good",
        "phase": "atomic",
        "variant": "native_api",
        "spec_id": "spec-1",
        "environment_id": "env-1",
        "suite": "small",
        "suite_hash": "s",
        "scorer_hash": "c",
        "split": "all",
        "blocks": 3,
        "trials": 180,
        "cost": None,
        "began_at": "2026-01-01T00:00:00.000Z",
        "at": "2026-01-01T00:01:00.000Z",
    }
    return Check.model_validate({**body, **changes})


def hostile(text: str) -> tuple[Check, Differences]:
    """A check in which everything that comes from elsewhere is this text."""
    base = finished()
    rows = tuple(row.model_copy(update={"prompt_id": f"{text}{n}", "prompt_kind": text}) for n, row in enumerate(base.rows))
    reason = CheckReason(criterion="regression", verdict="fail", prompt_ids=(text,), detail=text)
    names = {
        "model": text,
        "variant": text,
        "suite": text,
        "file": text,
        "currency": text,
        "cost": 1.0,
        "at": text,
        "check_id": text,
    }
    check = base.model_copy(update={"rows": rows, "reasons": (reason,), **names})
    prompt = PromptExcerpt(
        suite=text, prompt_id=rows[1].prompt_id, kind=text, needs_call=True, asked=((text, text),), expected=(text,)
    )
    answer = AnswerExcerpt(
        model=text,
        variant=text,
        letters="F",
        outcome=MISSED,
        trial_id=text,
        replies=(text,),
        calls=(text,),
        notes=(text,),
        why=text,
    )
    return check, Differences(compared=3, differing=1, prompts=(PromptDifference(prompt=prompt, answers=(answer,)),))


ATTRIBUTES = {
    "testsuites": ({"name"}, {"time", "tests", "failures", "errors"}),
    "testsuite": (
        {"name", "tests", "failures", "errors"},
        {"group", "time", "skipped", "timestamp", "hostname", "id", "package", "file", "log", "url"},
    ),
    "testcase": ({"name"}, {"classname", "time", "group"}),
    "failure": (set(), {"type", "message"}),
    "skipped": (set(), {"type", "message"}),
    "system-out": (set(), set()),
}
CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"testcase"},
    "testcase": {"failure", "skipped", "system-out"},
    "failure": set(),
    "skipped": set(),
    "system-out": set(),
}


def assert_lawful(element: ET.Element) -> None:
    """What the schema of Jenkins' xUnit plug-in (junit-10) asks of the elements that we write."""
    required, optional = ATTRIBUTES[element.tag]
    assert required <= set(element.attrib) <= required | optional
    assert {child.tag for child in element} <= CHILDREN[element.tag]
    for count in {"tests", "failures", "errors", "skipped"} & set(element.attrib):
        assert re.fullmatch(r"\d+", element.attrib[count])
    for child in element:
        assert_lawful(child)


def assert_counted(root: ET.Element) -> None:
    """The counts are those of the cases."""
    suites = list(root)
    for suite in suites:
        assert suite.get("tests") == str(len(suite.findall("testcase")))
        assert suite.get("failures") == str(len(suite.findall("testcase/failure")))
        assert suite.get("skipped") == str(len(suite.findall("testcase/skipped")))
    assert root.get("tests") == str(len(root.findall(".//testcase")))
    assert root.get("failures") == str(len(root.findall(".//failure")))


def test_junit_has_a_case_for_each_criterion_and_each_prompt() -> None:
    """What failed says why; what a prompt did is told with it."""
    root = ET.fromstring(check_junit(finished()))
    assert_lawful(root)
    assert_counted(root)
    names = [case.get("name") for case in root.iter("testcase")]
    assert names == ["no regression", "accuracy", "A1", "A2", "A3"]
    failure = root.find(".//failure")
    assert failure is not None
    assert "90.0 % before, 70.0 % now: -20.0 points" in failure.get("message", "")
    told = {case.get("name"): case.findtext("system-out") for case in root.iter("testcase")}
    assert told["A2"] == "now right in 1 of 2 runs (missed call), before right in 1 of 1 run"


@pytest.mark.parametrize(
    ("verdict", "counts_as", "fails", "skips"),
    [
        ("pass", "fail", 0, 0),
        ("fail", "fail", 1, 0),
        ("fail", "pass", 1, 0),
        ("undecided", "fail", 1, 0),
        ("undecided", "pass", 0, 1),
    ],
)
def test_something_fails_in_junit_exactly_if_the_check_does(verdict: str, counts_as: str, fails: int, skips: int) -> None:
    """Undecided fails or is skipped, as the check file says; annotations follow."""
    check = finished(verdict, on_undecided=counts_as)
    root = ET.fromstring(check_junit(check))
    assert (len(root.findall(".//failure")), len(root.findall(".//skipped"))) == (fails, skips)
    assert (fails == 0) == check.passes
    levels = [line.split()[0] for line in check_annotations(check)]
    assert levels == ([] if verdict == "pass" else ["::error"] if fails else ["::warning"])


@given(texts)
def test_hostile_text_stays_text_in_junit(text: str) -> None:
    """It parses as XML 1.0, has the same cases and counts, and no control character that hides."""
    check, differences = hostile(text)
    document = check_junit(check, differences)
    root = ET.fromstring(document.encode())
    assert_lawful(root)
    assert_counted(root)
    assert len(root.findall(".//testcase")) == len(check.rows) + len(check.figures)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e\ufffe\uffff\ud800-\udfff]", document)


@given(texts)
def test_hostile_text_stays_in_its_annotation(text: str) -> None:
    """One line for each reason, whose command and properties are ours."""
    check, _ = hostile(text)
    for line in check_annotations(check):
        assert len(line.splitlines()) == 1
        found = re.fullmatch(r"::error (?:file=([^:,]*),)?title=([^:,]*)::(.*)", line)
        assert found is not None
        assert found[2] == "selfopt check%3A no regression"


@given(texts)
def test_hostile_text_is_no_markup_in_the_summary(text: str) -> None:
    """Rendered, there are as many headings, cells and items as with harmless text, and no HTML, link or code block."""

    def shape(value: str) -> list[str]:
        tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(check_markdown(*hostile(value)))
        kinds = [token.type for token in tokens]
        inner = [child.type for token in tokens for child in token.children or ()]
        assert not {"html_inline", "link_open", "image"} & set(inner)
        assert not {"html_block", "fence", "code_block"} & set(kinds)
        return kinds

    assert shape(text or "y") == shape("x")


@given(texts, st.integers(min_value=200, max_value=5_000))
def test_the_summary_is_bounded(text: str, most: int) -> None:
    """Whatever is in it."""
    assert len(check_markdown(*hostile(text), max_bytes=most).encode()) <= most


def test_the_summary_tells_what_got_worse() -> None:
    """The verdict first, a row for each figure, then the prompts that changed."""
    text = check_markdown(finished())
    assert text.startswith("## ❌ selfopt check\n\nscripted/good native_api fails (small, 3 prompts)")
    assert ".0 % before, 70.0 % now: -20.0 points (-30.0 to -10.0 points) |" in text
    assert "**`A2`** (direct): now right in 1 of 2 runs" in text
    assert "`A1`" not in text
