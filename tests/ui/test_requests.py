"""The list of requests, and one of them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selfopt.ui import live
from selfopt.ui.pages.requests import waterfall
from selfopt.verbs.requests import FeedbackRecord, LiveAttempt
from tests.gateway.test_recorded import line_of, put

from .journals import ago, home_with, recently
from .kit import running

EVIL = "\"'><img src=x onerror=alert(1)></script><script>alert(2)</script>{{7*7}}\u202e\ud800&amp;"


def ids_in(text: str) -> list[str]:
    """The ids of the requests that a list links to."""
    return re.findall(r'href="/ui/requests/(r\d+)"', text)


async def test_the_list_goes_on_below_the_last_one(tmp_path: Path) -> None:
    """A hundred a page, and each once."""
    home = home_with(tmp_path, [recently(f"r{n}", 3000 - n) for n in range(250)])
    async with running(home) as ui:
        browser, found, target = await ui.signed_in(), list[str](), "/ui/requests?model=local%2Fa"
        while target:
            text = (await browser.get(target)).text
            found += ids_in(text)
            older = re.search(r'href="(/ui/requests\?before=[^"]+)"', text)
            target = older[1].replace("&amp;", "&") if older is not None else ""
        assert found == [f"r{n}" for n in reversed(range(250))]


async def test_new_requests_appear_and_nothing_is_sent_where_none_came(tmp_path: Path) -> None:
    """A list that is watched asks with the number that it saw last."""
    home = home_with(tmp_path, [recently("r1")])
    async with running(home) as ui:
        browser = await ui.signed_in()
        text = (await browser.get("/ui/requests")).text
        again = re.search(r'hx-get="(/ui/requests/rows\?[^"]*seen=[\w-]+)"', text)
        assert again is not None
        assert (await browser.get(again[1])).status == 204
        put(home / "requests", line_of(recently("r2", 1)))
        ui.site.live._looked_at = 0.0
        got = await browser.get(again[1])
        assert (got.status, ids_in(got.text)) == (200, ["r2", "r1"])


async def test_the_newest_are_shown_while_the_others_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page says so, offers no older ones until then, and becomes whole by itself."""
    monkeypatch.setattr(live, "FIRST_S", 0.0)
    home = home_with(tmp_path, [recently(f"r{n}", 3000 - n, reason="x" * 1000) for n in range(400)])
    async with running(home) as ui:
        browser, go_on, in_thread = await ui.signed_in(), asyncio.Event(), ui.site.in_thread

        async def slowly(work: Callable[..., Any], *args: Any) -> Any:
            if work == ui.site.live._whole.add:
                await go_on.wait()
            return await in_thread(work, *args)

        ui.site.live._in_thread = slowly
        await ui.site.live.look()
        while not len(ui.site.live.index):  # noqa: ASYNC110  a thread is waited for
            await asyncio.sleep(0)
        text = (await browser.get("/ui/requests")).text
        assert ids_in(text)[0] == "r399"
        assert "still being read" in text
        assert ">Older<" not in text
        assert "still being read" in (await browser.get("/ui/")).text
        go_on.set()
        await ui.site.live.look(whole=True)
        text = (await browser.get("/ui/requests/rows?seen=reading-300")).text
        assert "still being read" not in text
        assert (ids_in(text)[0], ">Older<" in text) == ("r399", True)


async def test_a_filter_stays_in_the_form_and_says_when_nothing_fits(tmp_path: Path) -> None:
    """Also a value that no request has."""
    home = home_with(tmp_path, [recently("r1"), recently("r2", outcome="failed", status=504, served=None)])
    async with running(home) as ui:
        browser = await ui.signed_in()
        assert ids_in((await browser.get("/ui/requests?errors=1")).text) == ["r2"]
        text = (await browser.get("/ui/requests?model=nobody&q=x")).text
        assert ids_in(text) == []
        assert "Nothing fits" in text
        assert '<option value="nobody" selected>' in text


async def test_a_request_tells_why_it_went_so(tmp_path: Path) -> None:
    """Attempts, confidence beside threshold, cost, what the client said; and that no content is kept."""
    attempts = (LiveAttempt("local/a", 30.0, "", 0.71, 0.82, "unsure"), LiveAttempt("cloud/b", 60.0))
    one = recently(
        "r1",
        outcome="diverted",
        served="cloud/b",
        attempts=attempts,
        latency_ms=100.0,
        escalated=("unsure",),
        cost=0.002,
        rule="rule-x",
        version=3,
    )
    home = home_with(tmp_path, [one, FeedbackRecord(ago(1), "r1", False, 0.25, "the wrong day", None)])
    async with running(home) as ui:
        text = (await (await ui.signed_in()).get("/ui/requests/r1")).text
        for said in (
            "cloud/b answered in place of local/a",
            "0.710",
            "0.820",
            "rule-x",
            "0.0020",
            "the wrong day",
            "is not kept",
            "30 ms",
        ):
            assert said in text, said
        assert "This version of the rules is not kept" in text


async def test_a_request_that_is_not_there_is_a_page(tmp_path: Path) -> None:
    """Whatever its id looks like."""
    async with running(tmp_path) as ui:
        browser = await ui.signed_in()
        for name in ("r1", "..%2f..%2fetc%2fpasswd", "%00", "a" * 3000):
            assert (await browser.get(f"/ui/requests/{name}")).status == 404


@pytest.mark.parametrize(
    "path",
    ["/ui/", "/ui/now", "/ui/requests", "/ui/requests/rows", "/ui/requests/evil", "/ui/requests?model=EVIL&q=EVIL&phase=EVIL"],
)
async def test_names_that_are_markup_stay_text(tmp_path: Path, path: str) -> None:
    """Models, tools, keys, reasons and what clients say are shown as they are, and do nothing."""
    evil = recently(
        "evil", model=EVIL, served=EVIL, phase=EVIL, rule=EVIL, variant=EVIL, key=EVIL, reason=EVIL, outcome="failed",
        attempts=(LiveAttempt(EVIL, 5.0, EVIL, 0.5, 0.6),),
    )  # fmt: skip
    home = home_with(tmp_path, [evil, evil, FeedbackRecord(ago(1), "evil", None, None, EVIL, EVIL)])
    async with running(home) as ui:
        got = await (await ui.signed_in()).get(path.replace("EVIL", "%22%3E%3Cimg%20src=x%3E"))
        assert got.status == 200
        for live in ("<img", "<script>alert", 'onerror=alert(1)>"', "'><"):
            assert live not in got.text, live
        assert ">49" not in got.text
        assert re.search(r'=(?:"[^"<]*<)', got.text) is None


def test_bars_follow_each_other_and_fill_the_time() -> None:
    """The gateway's own time first; attempts at the same time begin together."""
    steps = waterfall((LiveAttempt("a", 30.0, "timeout"), LiveAttempt("b", 60.0)), 100.0, None)
    assert [(step.kind, round(step.begin), round(step.width)) for step in steps] == [
        ("own", 0, 10),
        ("fault", 10, 30),
        ("served", 40, 60),
    ]
    beside = waterfall((LiveAttempt("a", 90.0, "outrun"), LiveAttempt("b", 95.0)), 100.0, None)
    assert [(step.kind, step.begin) for step in beside] == [("fault", 0.0), ("served", 0.0)]
    assert waterfall((), 0.0, None) == []
    assert [step.kind for step in waterfall((), 3.0, None)] == ["own"]
