"""Every page of the navigation, at every width, light and dark: nothing fails, nothing is cut, everybody can use it."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from selfopt.ui.pages import PAGES

from .conftest import Watched

pytestmark = pytest.mark.browser
WIDTHS = (1440, 1024, 390)
LOOKS = [(width, scheme) for width in WIDTHS for scheme in ("light", "dark")]


@pytest.mark.parametrize("watched", LOOKS, indirect=True, ids=lambda look: f"{look[0]}-{look[1]}")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_opens_without_fault(page: object, watched: Watched, screenshots: Path, request: pytest.FixtureRequest) -> None:
    """No error in the console, nothing asked of another host, no violation that axe finds, no page wider than the window."""
    path, name = page.path, page.name  # type: ignore[attr-defined]
    shown = watched.open(path)
    shown.locator("h1").first.wait_for()
    shown.wait_for_load_state("networkidle")
    shown.screenshot(path=screenshots / f"{name}-{request.node.callspec.id.split('-', 1)[1]}.png", full_page=True)
    found = Axe().run(shown)
    assert found.violations_count == 0, found.generate_report()
    wide, window = shown.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide <= window
