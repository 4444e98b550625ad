"""`selfopt ui`: it tells its address, serves, and ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from tests.ui.kit import Browser

from .world import Project


async def test_the_page_is_served_until_it_is_ended(tmp_path: Path) -> None:
    """The address in its output signs in; the next one is told then; Ctrl-C is its usual end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "selfopt", "--home", str(tmp_path / "home"), "ui", "--port", "0", "--json",
        stdout=asyncio.subprocess.PIPE, env=os.environ, cwd=tmp_path,
    )  # fmt: skip
    assert process.stdout is not None
    async with asyncio.timeout(120):
        url = json.loads(await process.stdout.readuntil(b"}"))["url"]
        authority, _, path = url.removeprefix("http://").partition("/")
        browser = Browser(int(authority.rpartition(":")[2]))
        assert (await browser.get("/" + path, sec_fetch_site="none")).status == 200
        assert (await browser.get("/ui/")).status == 200
        assert json.loads(await process.stdout.readuntil(b"}"))["url"] != url
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 130
    assert not (tmp_path / "home").exists()


def test_an_address_of_a_network_is_refused(project: Project) -> None:
    """It says what to do instead."""
    for host in ("0.0.0.0", "192.168.1.7", "example.com"):
        project.run("ui", "--no-open", "--host", host).assert_refused(2, "can be reached from other machines", "selfopt serve")
