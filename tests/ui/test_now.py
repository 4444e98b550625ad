"""Now: one sentence says whether everything is all right, and the rest says what is not."""

from __future__ import annotations

import json
import re
from pathlib import Path

from selfopt.home import ProcessLock
from selfopt.ui.live import GatewayState
from selfopt.ui.pages.now import away
from selfopt.verbs.requests import LiveAttempt

from .journals import home_with, recently
from .kit import Running, running


async def now(ui: Running) -> str:
    """The page."""
    got = await (await ui.signed_in()).get("/ui/")
    assert got.status == 200
    return got.text


def verdict(text: str) -> tuple[str, str]:
    """Its tone and its sentence."""
    found = re.search(r'data-verdict="(\w+)">.*?<span>(.*?)</span>', text, re.DOTALL)
    assert found is not None
    return found[1], found[2]


async def test_a_home_without_requests_says_how_to_begin(tmp_path: Path) -> None:
    """The command to copy."""
    async with running(tmp_path) as ui:
        text = await now(ui)
        assert verdict(text)[0] == "calm"
        assert "selfopt serve" in text


async def test_what_measures_is_said(tmp_path: Path) -> None:
    """The command that holds the lock of the home; asked for in the background, so a later look has it."""
    async with running(tmp_path) as ui:
        with ProcessLock(ui.site.app.home.ensure().lock)("loop <b>"):
            browser = await ui.signed_in()
            for _ in range(200):
                text = (await browser.get("/ui/")).text
                if "measuring now" in text:
                    break
        assert "selfopt loop &lt;b&gt; is measuring now." in text


async def test_all_is_right_where_nothing_fails(tmp_path: Path) -> None:
    """A single failure among many is few."""
    async with running(home_with(tmp_path, [recently(f"r{n}") for n in range(400)] + [recently("x", outcome="failed")])) as ui:
        assert verdict(await now(ui)) == (
            "good",
            "Everything is all right: of 401 requests in the last 10 minutes, 1 failed, which is few.",
        )


async def test_failures_name_the_model_and_what_to_do(tmp_path: Path) -> None:
    """And lead to the requests."""
    failed = [
        recently(f"x{n}", outcome="failed", served=None, attempts=(LiveAttempt("local/a", 5.0, "timeout"),)) for n in range(3)
    ]
    async with running(home_with(tmp_path, [recently(f"r{n}") for n in range(7)] + failed)) as ui:
        text = await now(ui)
        tone, said = verdict(text)
        assert (tone, said) == (
            "bad",
            "3 of 10 requests failed in the last 10 minutes, most at local/a, which gave no whole answer in time.",
        )
        assert "/ui/requests?outcome=failed" in text
        assert "selfopt doctor" in text


async def test_old_failures_are_over(tmp_path: Path) -> None:
    """What failed an hour ago says nothing of now."""
    async with running(home_with(tmp_path, [recently("x", 3600, outcome="failed"), recently("r")])) as ui:
        assert verdict(await now(ui))[0] == "good"


async def test_what_a_gateway_says_of_itself_is_told_for_some_seconds(tmp_path: Path) -> None:
    """Records that cannot be written, and who is left alone; what cannot be read says nothing."""
    async with running(home_with(tmp_path, [recently("r")])) as ui:
        moment = [ui.site.live.clock()]
        ui.site.live.clock = lambda: moment[0]
        for odd in (b"", b"{", b'{"open":1}', b"\xff"):
            ui.site.live.told(odd)
        assert ui.site.live.states() == []
        ui.site.live.told(json.dumps({"open": ["up/a"], "fault": "the disk is full", "worker": 0}).encode())
        assert ui.site.live.states() == [GatewayState(("up/a",), "the disk is full", 0, 0)]
        tone, said = verdict(await now(ui))
        assert tone == "bad"
        assert said.startswith("2 things need you. The gateway serves nothing, because it cannot record: the disk is full.")
        moment[0] += 60
        assert verdict(await now(ui))[0] == "good"


async def test_lines_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    """With the command that says which."""
    home = home_with(tmp_path, [recently("r")])
    with next((home / "requests").glob("*.jsonl")).open("ab") as file:
        file.write(b"garbage\n")
    async with running(home) as ui:
        tone, said = verdict(await now(ui))
        assert (tone, said) == ("bad", "1 line of the recorded requests cannot be read.")


async def test_costs_are_added_up_or_said_to_be_unknown(tmp_path: Path) -> None:
    """Saved is what the stronger model alone would have cost, less what was paid."""
    priced = [recently("a", 1, cost=0.25, cost_alone=1.0), recently("b", 1, cost=1.0, cost_alone=1.0), recently("c", 1)]
    async with running(home_with(tmp_path, priced)) as ui:
        text = await now(ui)
        assert '<span class="value">1.25' in text
        assert '<span class="value">0.75' in text
    other = tmp_path / "other"
    other.mkdir()
    async with running(home_with(other, [recently("a")])) as ui:
        assert "no request had a price" in await now(ui)


async def test_fifty_readers_cost_as_much_as_one(tmp_path: Path) -> None:
    """Within a second what changes is drawn once."""
    async with running(home_with(tmp_path, [recently("r")])) as ui:
        browser, drawn = await ui.signed_in(), 0
        draw = ui.site._drawing.draw

        def counted(template: str, context: object) -> bytes:
            nonlocal drawn
            drawn += 1
            return draw(template, context)  # type: ignore[arg-type]

        ui.site._drawing.draw = counted  # type: ignore[method-assign]
        ui.site.shared._clock = lambda: 5.0
        for _ in range(50):
            assert (await browser.get("/ui/now")).status == 200
        assert drawn == 1


def test_models_of_rules_that_nobody_can_ask_are_told() -> None:
    """With what to do: no server, or no endpoint. What no rule names, or what is elsewhere, needs nobody."""
    rows = [
        {"name": f"{where}/m", "where": where, "named": named, "problem": "why"}
        for where in ("here", "unknown", "remote", "engine")
        for named in (True, False)
    ]
    told = away(rows)
    assert [one.tone for one in told] == ["attention", "attention"]
    assert "here/m is named by a rule, and its server does not answer." in told[0].text
    assert "unknown/m is named by a rule, and no endpoint of the settings has it." in told[1].text
    assert away(None) == []
