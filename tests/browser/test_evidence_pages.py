"""The main tasks on the pages of models, experiments and suites, as somebody with a mouse and a keyboard does them."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.acceptance.sure_world import SMALL

from .conftest import Watched

pytestmark = pytest.mark.browser
LOOKS = [(1440, "light"), (1024, "dark"), (390, "dark")]


def to_model(shown: Page) -> None:
    """From the list of models to the small one."""
    shown.get_by_role("link", name=SMALL).first.click()
    shown.get_by_role("heading", level=1, name=SMALL).wait_for()


def to_versions(shown: Page) -> None:
    """From the list of models to the versions of the rules."""
    shown.get_by_role("link", name="History of the rules").click()


def to_rollback(shown: Page) -> None:
    """On to what a rollback would change."""
    to_versions(shown)
    shown.get_by_role("link", name="Roll back to version 1").click()
    shown.get_by_role("heading", name="What would change").wait_for()


def to_replies(shown: Page) -> None:
    """From the list of experiments to two evaluations beside each other, with all prompts."""
    shown.get_by_role("button", name="Show both, prompt by prompt").click()
    shown.get_by_role("navigation", name="Which prompts").get_by_role("link", name="All").click()
    shown.locator("article.pair").first.wait_for()


def to_trial(shown: Page) -> None:
    """On to a single trial, and whether it is as it was committed."""
    to_replies(shown)
    shown.get_by_role("link", name="Open the whole trial").first.click()
    shown.get_by_text("as they were committed").wait_for()


def to_cycle(shown: Page) -> None:
    """From the list of experiments to the newest cycle."""
    shown.get_by_role("link", name="Cycle 1").click()
    shown.get_by_role("heading", level=1, name="Cycle 1").wait_for()


def to_suite(shown: Page) -> None:
    """From the list of suites to one of them, with its warnings."""
    shown.get_by_role("link", name="atomic-300", exact=True).click()
    shown.get_by_text("makes its figures worth less").wait_for()


def to_prompt(shown: Page) -> None:
    """On to a prompt that is searched for."""
    to_suite(shown)
    shown.keyboard.press("/")
    shown.keyboard.type("back door")
    shown.keyboard.press("Enter")
    shown.get_by_role("link", name="home_automation-01").click()
    shown.get_by_role("heading", name="How it was answered").wait_for()


TASKS = {
    "model": ("/models", to_model),
    "versions": ("/models", to_versions),
    "rollback": ("/models", to_rollback),
    "replies": ("/experiments", to_replies),
    "trial": ("/experiments", to_trial),
    "cycle": ("/experiments", to_cycle),
    "suite": ("/suites", to_suite),
    "prompt": ("/suites", to_prompt),
}


@pytest.mark.parametrize("watched", LOOKS, indirect=True, ids=lambda look: f"{look[0]}-{look[1]}")
@pytest.mark.parametrize("task", TASKS)
def test_a_task_is_done_without_fault(task: str, watched: Watched, screenshots: Path) -> None:
    """By its links and fields alone; where it ends, axe finds no violation and nothing is wider than the window."""
    path, do = TASKS[task]
    shown = watched.open(path)
    do(shown)
    watched.check(screenshots / f"{task}-{watched.look}.png")


def test_a_rollback_is_not_sent_before_it_is_confirmed(watched: Watched) -> None:
    """The browser asks for the tick first, and stays on the page."""
    shown = watched.open("/models")
    to_rollback(shown)
    shown.get_by_role("button", name="Roll back to version 1").click()
    expect(shown.get_by_role("heading", level=1, name="Roll back to version 1")).to_be_visible()
    assert shown.evaluate("document.querySelector('[name=confirmed]').validity.valueMissing")


def test_a_model_says_whether_its_threshold_holds(watched: Watched) -> None:
    """With its bound, and the words for it where they stand."""
    shown = watched.open("/models")
    to_model(shown)
    expect(shown.get_by_text("and escalates to").first).to_be_visible()
    expect(shown.locator(".threshold .badge").first).to_have_text("holds")
    shown.get_by_role("link", name="Threshold").first.click()
    expect(shown.locator("#tip")).to_contain_text("The confidence that an answer needs")
