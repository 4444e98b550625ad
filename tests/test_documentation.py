"""The pages that people read: every link leads somewhere, the index reaches every page, the version has one place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from selfopt import __version__

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\]\((?!https?:)([^)\s]+)\)")


def links_of(page: Path) -> list[tuple[Path, str]]:
    """The files that a page links to, each with the heading that the link names."""
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    parts = [link.partition("#") for link in LINK.findall(text)]
    return [((page.parent / name).resolve() if name else page, heading) for name, _, heading in parts]


def anchors_of(page: Path) -> set[str]:
    """The names by which links call a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.casefold()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    """Files are there, and so are the headings that a link names."""
    for target, heading in links_of(page):
        assert target.exists(), f"{page.name} links to {target}"
        assert not heading or heading in anchors_of(target), f"{page.name} links to {target.name}#{heading}"


def test_the_index_reaches_every_page() -> None:
    """docs/README.md links to each page of the documentation."""
    index = ROOT / "docs" / "README.md"
    reached = {target for target, _ in links_of(index)}
    assert {page for page in PAGES if (ROOT / "docs") in page.parents} - reached == {index}


def test_the_change_log_knows_the_version() -> None:
    """The version is one constant, and the change log has a section for it."""
    assert f"\n## {__version__} - " in (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert f'"{__version__}"' not in (ROOT / "pyproject.toml").read_text("utf-8")
