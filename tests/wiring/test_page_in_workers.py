"""All workers of a gateway share one process that draws the page."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psutil

from tests.ui.kit import Browser

from .test_workers import Served, served, upstream


def drawing(gateway: Served) -> list[psutil.Process]:
    """The processes that draw, whoever started them."""
    found = []
    for child in psutil.Process(gateway.process.pid).children(recursive=True):
        with suppress(psutil.Error):
            found += [child] if "selfopt.ui.behind" in child.cmdline() else []
    return found


async def test_one_process_draws_the_page_of_all_workers(tmp_path: Path) -> None:
    """Whichever worker is asked; and when the worker that started it dies, another one does."""
    behind = await upstream()
    try:
        async with served(tmp_path, behind, workers=2) as gateway:

            async def both() -> bool:
                return len(gateway.workers()) == 2

            await gateway.until(both)
            assert drawing(gateway) == []
            for _ in range(12):
                assert (await Browser(gateway.port).get("/ui/signin")).status == 200
            (first,) = drawing(gateway)
            owner = first.parent()
            assert owner is not None
            assert owner.pid in gateway.workers()
            owner.kill()

            async def drawn_by_another() -> bool:
                with suppress(ConnectionError, IndexError):  # the worker that was killed took a connection with it
                    await Browser(gateway.port).get("/ui/signin")
                return any(each.pid != first.pid for each in drawing(gateway))

            await gateway.until(drawn_by_another)
            assert (await Browser(gateway.port).get("/ui/signin")).status == 200
            assert len(drawing(gateway)) == 1
    finally:
        await behind.close()
