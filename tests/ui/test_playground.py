"""The playground: what it sends, shows, refuses, and forgets."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

from selfopt.ui.playing import EACH, Playing, TooMany
from selfopt.verbs.playing import Played

from .kit import Browser, Got
from .playground_home import EVIL_REPLY, LONG, TOOLS, play_site, talking_server


async def answer(browser: Browser, side: str, form: dict[str, str]) -> str:
    """Ask one side, and poll until its answer is there."""
    got = await browser.post(f"/ui/playground/ask/{side}", {"csrf": await browser.csrf(), **form})
    assert got.status == 200
    return await polled(browser, got)


async def polled(browser: Browser, got: Got) -> str:
    """Follow what waits until something comes."""
    again = re.search(r'hx-get="(/ui/playground/answer/[^"]+)"', got.text)
    while again is not None:
        found = await browser.get(again[1])
        if found.status == 200:
            return found.text
        assert found.status == 204
    return got.text


def form(side: str = "a", model: str = "lab/good", variant: str = "native_api", **more: str) -> dict[str, str]:
    """What the page's form holds of one side."""
    own = {f"model_{side}": model, f"variant_{side}": variant}
    return {"prompt": "The weather in Oslo, please.", "tools": TOOLS, **own, **more}


async def test_a_side_shows_what_was_sent_what_came_and_what_was_read(tmp_path: Path) -> None:
    """With time, tokens and cost."""
    async with play_site(tmp_path) as ui:
        text = await answer(await ui.signed_in(), "a", form())
    assert "It calls get_weather." in text
    assert "get_weather(city=&#34;Oslo&#34;)" in text
    assert "The weather in Oslo, please." in text
    for word in ("Raw reply", "What was sent", "Took", "Tokens", "Cost"):
        assert word in text, word


async def test_a_point_of_the_space_goes_before_the_chosen_variant(tmp_path: Path) -> None:
    """Whoever typed one means it."""
    async with play_site(tmp_path) as ui:
        text = await answer(await ui.signed_in(), "b", form("b", point_b="tools=signatures"))
    assert "tools=signatures" in text


async def test_the_page_lists_models_variants_and_tool_sets(tmp_path: Path) -> None:
    """Of a scripted endpoint its models, and the tools of every suite."""
    async with play_site(tmp_path) as ui:
        browser = await ui.signed_in()
        text = (await browser.get("/ui/playground")).text
        for word in ('value="lab/good"', "<option selected>native_api", 'optgroup label="atomic"'):
            assert word in text, word
        named = re.search(r'<option value="(atomic/[^"]+)"', text)
        assert named is not None
        tools = (await browser.get(f"/ui/playground/tools?set={named[1]}")).text
        assert "parameters" in tools
        assert (await browser.get("/ui/playground/tools?set=atomic/none-such")).status == 404
        assert (await browser.get("/ui/playground/tools?set=..%2Fsecret.yaml/x")).status == 404


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"prompt": " "}, "There is no prompt"),
        ({"tools": "{"}, "not valid JSON"),
        ({"tools": '"mcp:rm -rf /"'}, "expected a list of tools"),
        ({"tools": "[" * 5000}, "nested deeper"),
        ({"prompt": "x" * 100_001}, "allowed are 100000"),
        ({"model_a": "nobody/knows"}, "Unknown model"),
        ({"variant_a": "<script>"}, "&lt;script&gt;"),
        ({"model_a": ""}, "Unknown model"),
    ],
)
async def test_what_is_wrong_is_said_in_a_sentence(tmp_path: Path, more: dict[str, str], word: str) -> None:
    """At the side that asked, and nothing is sent."""
    async with play_site(tmp_path) as ui:
        text = await answer(await ui.signed_in(), "a", {**form(), **more})
    assert word in text
    assert 'data-answer="none"' in text
    assert "<script>" not in text


async def test_a_remote_model_is_asked_only_with_consent(tmp_path: Path) -> None:
    """The page says so, and nothing leaves the machine."""
    async with talking_server() as (url, heard), play_site(tmp_path, remote=url) as ui:
        browser = await ui.signed_in()
        assert 'name="remote"' in (await browser.get("/ui/playground")).text
        text = await answer(browser, "a", form(model="far/away"))
        assert "is not on this machine" in text
        assert heard == []
        text = await answer(browser, "a", form(model="far/away", remote="yes"))
        assert "a word from far away" in text
        assert len(heard) == 1


async def test_a_hostile_reply_is_escaped_and_cut_with_a_word(tmp_path: Path) -> None:
    """Markup stays text."""
    async with play_site(tmp_path) as ui:
        browser = await ui.signed_in()
        text = await answer(browser, "a", form(model="lab/evil"))
        assert "<script>" not in text
        assert "&lt;script&gt;" in text
        assert EVIL_REPLY not in text
        long = await answer(browser, "a", form(model="lab/long"))
    assert "cut here" in long
    assert len(long) < LONG


async def test_a_slow_side_does_not_hold_the_other_and_can_be_stopped(tmp_path: Path) -> None:
    """The fast one is there while the slow one waits; after a stop nothing is under way."""
    async with talking_server(never=True) as (url, _), play_site(tmp_path, remote=url) as ui:
        browser = await ui.signed_in()
        csrf = await browser.csrf()
        slow = await browser.post("/ui/playground/ask/b", {"csrf": csrf, **form("b", "far/away", remote="yes")})
        assert "It calls get_weather." in await answer(browser, "a", form())
        name = re.search(r'hx-post="(/ui/playground/stop/b/[^"]+)"', slow.text)
        assert name is not None
        assert "You stopped it" in (await browser.post(name[1], {"csrf": csrf})).text
        assert ui.site.playing._asked == {}


async def test_an_answer_is_its_readers_alone_and_is_handed_out_once(tmp_path: Path) -> None:
    """Neither another session nor a second look gets it."""
    async with play_site(tmp_path) as ui:
        one, other = await ui.signed_in(), await ui.signed_in()
        got = await one.post("/ui/playground/ask/a", {"csrf": await one.csrf(), **form()})
        again = re.search(r'hx-get="(/ui/playground/answer/[^"]+)"', got.text)
        assert again is not None
        assert "not kept any more" in (await other.get(again[1])).text
        assert "It calls get_weather." in await polled(one, got)
        assert "not kept any more" in (await one.get(again[1])).text


async def test_a_form_without_its_token_asks_nobody(tmp_path: Path) -> None:
    """As every form."""
    async with play_site(tmp_path) as ui:
        browser = await ui.signed_in()
        assert (await browser.post("/ui/playground/ask/a", form())).status == 403
        assert ui.site.playing._asked == {}


async def test_behind_a_gateway_no_model_of_the_engine_is_started(tmp_path: Path) -> None:
    """It is not offered, and a form that names one is refused."""
    async with play_site(tmp_path, {"sk-admin": "k1"}) as ui:
        browser = ui.browser()
        page = await browser.get("/ui/signin")
        assert page.status == 200
        assert (await browser.post("/ui/signin", {"key": "sk-admin"})).status == 303
        assert "are not offered here" in (await browser.get("/ui/playground")).text
        text = await answer(browser, "a", form(model="local/smollm2-135m"))
        assert "a gateway may have it loaded" in text


async def test_what_nobody_waits_for_is_ended() -> None:
    """A reader who has left keeps no model busy."""
    now = [0.0]
    playing = Playing(left_s=15.0, clock=lambda: now[0])
    ended = asyncio.Event()

    async def never() -> Played:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    name = playing.begin("me", never)
    await asyncio.sleep(0)
    now[0] = 20.0
    playing.forget_left()
    await ended.wait()
    with pytest.raises(KeyError):
        await playing.wait("me", name, 0)
    await playing.close()


async def test_only_a_few_are_under_way_for_one_reader_and_each_is_bounded_in_time() -> None:
    """One more is refused until one has ended; one that takes too long says so."""
    playing = Playing(longest_s=0.01)

    async def never() -> Played:
        await asyncio.Event().wait()
        raise AssertionError

    names = [playing.begin("me", never) for _ in range(EACH)]
    with pytest.raises(TooMany):
        playing.begin("me", never)
    playing.begin("another", never)
    found = await playing.wait("me", names[0], 60)
    assert isinstance(found, str)
    assert "no whole answer" in found
    await playing.close()


async def test_what_fails_unforeseen_is_logged_without_what_was_asked(caplog: pytest.LogCaptureFixture) -> None:
    """The log names the kind of the fault alone."""
    playing = Playing()

    async def fails() -> Played:
        raise RuntimeError("my secret prompt")

    assert "bug" in str(await playing.wait("me", playing.begin("me", fails), 60))
    assert "RuntimeError" in caplog.text
    assert "secret" not in caplog.text
    await playing.close()


def test_the_tools_of_the_home_are_json() -> None:
    """The constant that the tests send."""
    assert json.loads(TOOLS)


async def test_no_model_of_the_engine_is_started_while_something_listens_as_the_gateway(tmp_path: Path) -> None:
    """It may have the model loaded."""
    async with talking_server() as (url, _):
        port = url.rpartition(":")[2].partition("/")[0]
        async with play_site(tmp_path, more=f"[gateway]\nport = {port}\n") as ui:
            text = await answer(await ui.signed_in(), "a", form(model="local/smollm2-135m"))
    assert "a gateway may have it loaded" in text
