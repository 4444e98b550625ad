"""One home, one `selfopt ui` and one browser for all tests."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from tests.acceptance.sure_world import World

from .shown import page_of, shown_world

# Without these, Chromium asks hosts of its maker at every start.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A home with everything that pages show."""
    with shown_world(World(tmp_path_factory.mktemp("shown"))) as made:
        yield made


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, or the one that SELFOPT_CHROMIUM names."""
    program = os.environ.get("SELFOPT_CHROMIUM") or shutil.which("chromium")
    if program is None:
        pytest.fail("no browser: install Debian's package chromium, or name one with SELFOPT_CHROMIUM", pytrace=False)
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def entered(world: World, browser: Browser) -> Iterator[tuple[str, dict[str, object]]]:
    """The page's address, and what a browser keeps that has signed in."""
    with page_of(world) as url:
        context = browser.new_context()
        page = context.new_page()
        page.goto(url)
        yield page.url.partition("/ui")[0], context.storage_state()
        context.close()


@dataclass(frozen=True, slots=True)
class Served:
    """A gateway of the home: the address of its API, and an API key of the scope admin."""

    base: str
    key: str

    @property
    def root(self) -> str:
        """Where it listens."""
        return self.base.partition("/v1")[0]


@pytest.fixture(scope="session")
def gateway(world: World) -> Iterator[Served]:
    """`selfopt serve` on the home."""
    key = json.loads(world.ok("keys", "add", "reader", "--scope", "admin", "--json"))["key"]
    with world.process("serve", "--port", "0") as (_, base, _):
        yield Served(base, key)


@pytest.fixture
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures of pages are kept: SELFOPT_SCREENSHOTS, else a folder that goes with the tests."""
    named = os.environ.get("SELFOPT_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.getbasetemp() / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Watched:
    """A page of the browser, and what went wrong in it.

    Attributes:
        look: width and colour scheme, as pictures are named.
        faults: errors of scripts, messages of the console that are errors, and answers that failed.
    """

    def __init__(self, page: Page, root: str, look: str = "") -> None:
        self.look = look
        self.page = page
        self.root = root
        self.faults: list[str] = []
        page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        page.on("console", lambda said: self.faults.append(said.text) if said.type in ("error", "warning") else None)
        page.on("requestfailed", lambda asked: self._failed(asked.url, str(asked.failure)))
        page.on("request", lambda asked: None if asked.url.startswith(self.root) else self.faults.append(f"asks {asked.url}"))

    def _failed(self, url: str, failure: str) -> None:
        if "ERR_ABORTED" not in failure:  # the page was left meanwhile
            self.faults.append(f"{url}: {failure}")

    def check(self, picture: Path | None = None) -> None:
        """Check that axe finds no violation, and that the page is no wider than its window."""
        self.page.wait_for_load_state("networkidle")
        if picture is not None:
            self.page.screenshot(path=picture, full_page=True)
        found = Axe().run(self.page)
        assert found.violations_count == 0, self.page.url + found.generate_report()
        wide, window = self.page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert wide <= window, self.page.url

    def open(self, path: str) -> Page:
        """Open a page of the site."""
        answer = self.page.goto(f"{self.root}/ui{path}", wait_until="load")
        assert answer is not None
        assert answer.ok, (path, answer.status)
        return self.page


@pytest.fixture
def watched(browser: Browser, entered: tuple[str, dict[str, object]], request: pytest.FixtureRequest) -> Iterator[Watched]:
    """A fresh page, signed in. Indirect parameters: width and colour scheme."""
    width, scheme = getattr(request, "param", (1440, "light"))
    root, state = entered
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, storage_state=state)
    page = context.new_page()
    page.set_default_timeout(60_000)
    found = Watched(page, root, f"{width}-{scheme}")
    yield found
    context.close()
    assert not found.faults
