"""Every page of the navigation, at every width, light and dark: nothing fails, nothing is cut, everybody can use it."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfopt.ui.pages import PAGES

from .conftest import Watched

pytestmark = pytest.mark.browser
WIDTHS = (1440, 1024, 390)
LOOKS = [(width, scheme) for width in WIDTHS for scheme in ("light", "dark")]


@pytest.mark.parametrize("watched", LOOKS, indirect=True, ids=lambda look: f"{look[0]}-{look[1]}")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_opens_without_fault(page: object, watched: Watched, screenshots: Path) -> None:
    """No error in the console, nothing asked of another host, no violation that axe finds, no page wider than the window."""
    path, name = page.path, page.name  # type: ignore[attr-defined]
    watched.open(path).locator("h1").first.wait_for()
    watched.check(screenshots / f"{name}-{watched.look}.png")


@pytest.mark.parametrize("watched", [(1440, "light"), (390, "dark")], indirect=True, ids=lambda look: f"{look[0]}-{look[1]}")
def test_pages_below_them_open_without_fault(watched: Watched, screenshots: Path) -> None:
    """A request, a difference, a decision, a check, one evaluation alone, the words; `test_evidence_pages.py` has the others."""

    def first(path: str, link: str) -> str:
        found = watched.open(path).locator(f'main a[href^="/ui/{link}"]').first.get_attribute("href")
        assert found is not None, (path, link)
        return str(found).removeprefix("/ui")

    deep = {
        "request": first("/requests?escalated=unsure", "requests/"),
        "difference": "/models/difference?older=1&newer=2",
        "decision": first(first("/experiments", "experiments/cycle/"), "experiments/decision/"),
        "check": first("/experiments", "experiments/check/"),
        "wrong": first(first("/models", "models/of/"), "experiments/compare"),
        "words": "/words",
    }
    for name, path in deep.items():
        watched.open(path).locator("h1").first.wait_for()
        watched.check(screenshots / f"deep-{name}-{watched.look}.png")
