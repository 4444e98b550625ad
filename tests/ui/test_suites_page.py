"""Suites: what they cover, what is wrong with them, and how each spec did on a prompt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from selfopt.records import Outcome, Spec
from selfopt.suites import load_suite

from .homes import HOSTILE, evaluation_of, spec, store
from .kit import running

TOOL = {"name": "look", "description": HOSTILE, "parameters": {"type": "object", "properties": {"for": {"type": "string"}}}}


def body(n: int, text: str = "find it") -> dict[str, Any]:
    """A suite of n prompts; every third wants no call."""
    prompts: list[dict[str, Any]] = [
        {
            "id": f"p-{i:04d}",
            "kind": "direct" if i % 3 else "small talk",
            "tool_set": "t",
            "messages": [{"role": "user", "content": f"{text} number {i}"}],
            "expected": [[{"name": "look", "arguments": {"for": [f"{i}"]}}]] if i % 3 else [[]],
        }
        for i in range(n)
    ]
    return {"name": "mine", "title": HOSTILE, "phase": "atomic", "scope": "whole", "tool_sets": {"t": [TOOL]}, "prompts": prompts}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with a suite of its own, and one that cannot be used."""
    (tmp_path / "suites").mkdir(parents=True)
    (tmp_path / "suites" / "mine.json").write_text(json.dumps(body(60)), "utf-8")
    (tmp_path / "suites" / "broken.yaml").write_text("name: broken\n", "utf-8")
    return tmp_path


async def test_suites_are_listed_with_what_they_hold(home: Path) -> None:
    """One that can't be used says why, and hides no other."""
    async with running(home) as ui:
        text = (await (await ui.signed_in()).get("/ui/suites")).text
        assert "1 can&#39;t be used" in text
        assert 'href="/ui/suites/of/mine"' in text
        assert 'href="/ui/suites/of/atomic-300"' in text
        assert 'href="/ui/suites/of/broken"' not in text
        assert "<script>alert" not in text


async def test_a_suite_shows_its_coverage_and_pages_of_prompts(home: Path) -> None:
    """Calls and none, kinds by split, 25 prompts a page, all of them escaped."""
    async with running(home) as ui:
        browser = await ui.signed_in()
        text = (await browser.get("/ui/suites/of/mine")).text
        assert "60 prompts over 1 tool in 1 set; 20 of them need no call; not measured here yet" in text
        assert "page 1 of 3" in text
        assert "p-0024" in text
        assert "p-0025" not in text
        assert "p-0059" in (await browser.get("/ui/suites/of/mine?page=3")).text
        assert "<script>alert" not in text


@pytest.mark.parametrize(
    ("query", "there", "gone"),
    [
        ("q=NUMBER+59", "p-0059", "p-0001"),
        ("q=look", "p-0000", "No prompt is like that"),
        ("kind=small+talk&split=search", "p-0000", "p-0001"),
        ("split=heldout", "No prompt is like that", "p-0000"),
        ("q=nowhere", "No prompt is like that", "p-0000"),
    ],
)
async def test_prompts_are_searched(home: Path, query: str, there: str, gone: str) -> None:
    """In their words and tools, by kind and split."""
    async with running(home) as ui:
        text = (await (await ui.signed_in()).get(f"/ui/suites/of/mine?{query}")).text
        assert there in text
        assert gone not in text


async def test_warnings_come_as_a_part_of_the_page(home: Path) -> None:
    """With what each means, and links to the prompts it is about."""
    async with running(home) as ui:
        browser = await ui.signed_in()
        part = (await browser.get("/ui/suites/warnings/mine", hx_request="true")).text
        assert "near duplicate" in part
        assert "They hardly differ" in part
        assert 'href="/ui/suites/of/mine/p-' in part
        good = (await browser.get("/ui/suites/warnings/atomic-300", hx_request="true")).text
        assert "nothing was found that makes its figures worth less" in good


async def test_a_prompt_shows_tools_expectation_and_how_each_spec_did(home: Path) -> None:
    """Of evaluations of the same content of the suite; others count for nothing."""
    content = load_suite("mine", home / "suites").content_id()
    outcomes = [Outcome.PASS, Outcome.WRONG]
    good, old = (
        Spec.model_validate({**spec(name).model_dump(), "suite_hash": suite_hash})
        for name, suite_hash in (("good", content), ("old", "suite-before"))
    )
    await store(home, [*evaluation_of(good, outcomes), *evaluation_of(old, outcomes)])
    async with running(home) as ui:
        browser = await ui.signed_in()
        text = (await browser.get("/ui/suites/of/mine/p-0001")).text
        assert "It needs a call; 0 of 1 spec passed it in every run" in text
        assert "look(for=&#34;1&#34;)" in text
        assert "find it number 1" in text
        assert "good" in text
        assert ">old<" not in text
        assert 'href="/ui/experiments/trial/trial-good-0-0001"' in text
        assert "<script>alert" not in text
        assert "it was not measured" in (await browser.get("/ui/suites/of/mine/p-0009")).text


async def test_a_changed_file_is_read_again(home: Path) -> None:
    """Without a new start of the page."""
    async with running(home) as ui:
        browser = await ui.signed_in()
        assert "60 prompts" in (await browser.get("/ui/suites/of/mine")).text
        (home / "suites" / "mine.json").write_text(json.dumps(body(7)), "utf-8")
        assert "7 prompts" in (await browser.get("/ui/suites/of/mine")).text


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("of/none", 404),
        ("of/broken", 409),
        ("of/mine/none", 404),
        ("of/mine?page=x", 400),
        ("warnings/none", 404),
        ("warnings/broken", 409),
        ("of/..%2F..%2Fmine.json", 404),
        ("of/%2Fetc%2Fpasswd", 404),
    ],
)
async def test_a_wrong_address_is_answered_in_a_sentence(home: Path, address: str, status: int) -> None:
    """Paths are not taken, only names."""
    async with running(home) as ui:
        assert (await (await ui.signed_in()).get(f"/ui/suites/{address}")).status == status
