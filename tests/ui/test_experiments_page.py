"""Experiments: cycles and races as they run, decisions, and two evaluations prompt by prompt."""

from __future__ import annotations

import asyncio
import json
import math
import re
from html import unescape
from pathlib import Path

import pytest

from selfopt.home import ProcessLock
from selfopt.records import CheckedPrompt, CycleStart, CycleTarget, Decision, Outcome, RaceBlock, RaceEnd, Trial
from selfopt.words.decisions import GATES
from tests.loop.kit import World
from tests.loop.race_kit import ATOMIC, candidates, sometimes
from tests.report.test_check_outputs import finished

from .homes import AT, HOSTILE, evaluation_of, spec, store
from .kit import running

PASS, WRONG, ERROR = Outcome.PASS, Outcome.WRONG, Outcome.ERROR


@pytest.fixture(scope="module")
def raced(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which a candidate has raced until a cap held it."""
    folder = tmp_path_factory.mktemp("raced")
    world = World(folder / "world", {"m": sometimes(0.5, 0.58)}, {"policy": {"race_trials": 100}})
    asyncio.run(world.loop(ATOMIC, candidates=candidates(folder)))
    return world.home


def charts(text: str) -> list[dict[str, object]]:
    """What the charts of a page show."""
    return [json.loads(unescape(found)) for found in re.findall(r'data-chart="([^"]*)"', text)]


async def test_an_empty_home_says_what_to_do(tmp_path: Path) -> None:
    """With the command of a first cycle."""
    async with running(tmp_path) as ui:
        text = (await (await ui.signed_in()).get("/ui/experiments")).text
        assert "Nothing was tried yet" in text
        assert "selfopt loop --baseline" in text


async def test_a_cycle_shows_its_candidates_and_what_it_cost(raced: Path) -> None:
    """The state of each, its gain, and trials, tokens, time and money."""
    async with running(raced) as ui:
        browser = await ui.signed_in()
        text = (await browser.get("/ui/experiments")).text
        assert "The loop has run 1 cycle" in text
        assert 'href="/ui/experiments/cycle/1"' in text
        text = (await browser.get("/ui/experiments/cycle/1")).text
        trials = len(list(ui.site.app.ledger.read(Trial)))
        assert f'<span class="value">{trials}</span>' in text
        assert "held" in text
        assert "restrained" in text


async def test_a_race_shows_its_evidence_beside_the_border(raced: Path) -> None:
    """Block by block, the same figures as the race had, with what would be enough."""
    async with running(raced) as ui:
        text = (await (await ui.signed_in()).get("/ui/experiments/cycle/1")).text
        (end,) = ui.site.app.ledger.read(RaceEnd)
        (standing,) = end.standings
        (chart,) = charts(text)
        lines = {line["label"]: line["values"] for line in chart["lines"]}  # type: ignore[attr-defined]
        blocks = len(list(ui.site.app.ledger.read(RaceBlock)))
        assert len(lines["for it"]) == blocks + 1
        assert lines["for it"][-1] == pytest.approx(standing.log_e / math.log(10), abs=0.001)
        assert set(lines["enough for it"]) == {round(standing.log_e_needed / math.log(10), 3)}
        assert lines["against it"][-1] == pytest.approx(standing.log_f / math.log(10), abs=0.001)


async def test_a_decision_is_explained(raced: Path) -> None:
    """The claim, how sure it is, what would change it, and every gate."""
    async with running(raced) as ui:
        browser = await ui.signed_in()
        (decision,) = ui.site.app.ledger.read(Decision)
        text = (await browser.get(f"/ui/experiments/decision/{decision.decision_id}")).text
        assert "It was held" in text
        assert "What would change it" in text
        for gate in decision.gates:
            assert GATES.get(gate.name, gate.name.replace("_", " ")) in text
        pair = re.search(r'href="(/ui/experiments/compare[^"]*)"', text)
        assert pair is not None
        assert (await browser.get(unescape(pair[1]))).status == 200


async def test_a_cycle_that_runs_is_asked_again(raced: Path, tmp_path: Path) -> None:
    """While a process measures, the part with the cycle asks for itself; one that nobody works on says so."""
    target = CycleTarget(model="scripted/m", phase="atomic", baseline_spec_id="spec-x")
    await store(tmp_path, [CycleStart(cycle_id="c9", number=9, targets=(target,), config_version=0, at=AT)])
    async with running(tmp_path) as ui:
        browser = await ui.signed_in()
        text = (await browser.get("/ui/experiments/cycle/9")).text
        assert "interrupted" in text
        assert "hx-get" not in text
        with ProcessLock(tmp_path / "lock")("loop"):
            text = (await browser.get("/ui/experiments/cycle/9")).text
            asks = re.search(r'hx-get="(/ui/experiments/cycle/9\?seen=[0-9a-f]+)"', text)
            assert asks is not None
            assert (await browser.get(asks[1], hx_request="true")).status == 204  # nothing has changed
            part = (await browser.get("/ui/experiments/cycle/9?seen=before", hx_request="true")).text
            assert part.lstrip().startswith('<div id="cycle"')
            assert "selfopt loop is measuring now" in (await browser.get("/ui/experiments")).text


@pytest.fixture
async def pair(tmp_path: Path) -> Path:
    """Two evaluations of 25 prompts: the second passes three more, and two fail with both."""
    left = [PASS] * 20 + [WRONG] * 5
    right = [PASS] * 23 + [WRONG, ERROR]
    await store(tmp_path, [*evaluation_of(spec("left"), left, "from the left"), *evaluation_of(spec("right"), right, HOSTILE)])
    return tmp_path


async def test_two_evaluations_stand_beside_each_other(pair: Path) -> None:
    """Only what differs at first: the raw replies, and the calls that were read in them."""
    async with running(pair) as ui:
        browser = await ui.signed_in()
        text = (await browser.get("/ui/experiments/compare?left=eval-left-0&right=eval-right-0")).text
        assert "does better on 3 prompts, worse on 0, and equally well on 22" in text
        assert re.findall(r'<article class="pair panel" id="([^"]*)"', text) == ["p-0020", "p-0021", "p-0022"]
        assert '<pre class="raw">from the left</pre>' in text
        assert "look(for=&#34;from the left&#34;)" in text


@pytest.mark.parametrize(("shown", "page", "ids"), [("wrong", 1, 5), ("all", 1, 10), ("all", 3, 5), ("all", 9, 5)])
async def test_prompts_are_filtered_and_paged(pair: Path, shown: str, page: int, ids: int) -> None:
    """Ten a page; a page that is too far is the last."""
    async with running(pair) as ui:
        address = f"/ui/experiments/compare?left=eval-left-0&right=eval-right-0&show={shown}&page={page}"
        assert (await (await ui.signed_in()).get(address)).text.count('<article class="pair panel"') == ids


async def test_every_prompt_of_a_filter_has_a_box(pair: Path) -> None:
    """With its outcome on both sides, and a link to the page that shows it."""
    async with running(pair) as ui:
        address = "/ui/experiments/compare?left=eval-left-0&right=eval-right-0&show=all"
        text = (await (await ui.signed_in()).get(address)).text
        boxes = re.findall(r'<a href="([^"]*)" title="(p-[^"]*)"', text)
        assert len(boxes) == 25
        assert boxes[0] == ("#p-0000", "p-0000: left passed, right passed")
        assert boxes[20][1] == "p-0020: left failed, right passed"
        assert re.search(r"page=3.*#p-0020$", boxes[20][0])


async def test_a_prompt_that_one_was_not_asked_counts_for_neither(tmp_path: Path) -> None:
    """Two evaluations of different splits are compared on what they share, and the sentence says how much that is."""
    await store(
        tmp_path, [*evaluation_of(spec("left"), [PASS, WRONG]), *evaluation_of(spec("right"), [WRONG, WRONG, PASS, PASS])]
    )
    async with running(tmp_path) as ui:
        text = (await (await ui.signed_in()).get("/ui/experiments/compare?left=eval-left-0&right=eval-right-0")).text
        assert "does better on 0 prompts, worse on 1, and equally well on 1; 2 other prompts were asked of one alone" in text
        assert re.findall(r'<article class="pair panel" id="([^"]*)"', text) == ["p-0000"]


async def test_hostile_replies_are_shown_and_never_run(pair: Path) -> None:
    """Side by side, and on the page of a single trial."""
    async with running(pair) as ui:
        browser = await ui.signed_in()
        text = (await browser.get("/ui/experiments/compare?left=eval-left-0&right=eval-right-0&show=all")).text
        link = re.search(r"/ui/experiments/trial/trial-right-0-0000", text)
        assert link is not None
        for page in (text, (await browser.get(link[0])).text):
            assert "<script>alert" not in page
            assert "&lt;script&gt;alert(1)" in page


async def test_a_long_reply_is_cut(tmp_path: Path) -> None:
    """The page stays small, and says how much is missing."""
    await store(tmp_path, evaluation_of(spec("long"), [WRONG] * 10, "x" * 100_000))
    async with running(tmp_path) as ui:
        got = await (await ui.signed_in()).get("/ui/experiments/compare?left=eval-long-0&right=eval-long-0&show=all")
        assert "94000 more characters" in got.text
        assert len(got.text) < 250_000


async def test_a_trial_says_whether_it_is_as_committed(pair: Path) -> None:
    """Asked apart from the page, since a long ledger takes a while."""
    async with running(pair) as ui:
        browser = await ui.signed_in()
        assert (await browser.get("/ui/experiments/trial/trial-left-0-0000")).status == 200
        part = (await browser.get("/ui/experiments/trial/trial-left-0-0000/check", hx_request="true")).text
        assert "unchanged" in part
        assert "<html" not in part


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("cycle/77", 404),
        ("cycle/x", 400),
        ("decision/decision-none", 404),
        ("trial/trial-none", 404),
        ("trial/trial-none/check", 404),
        ("compare?left=eval-none&right=eval-left-0", 404),
        ("compare", 404),
        ("compare?left=eval-left-0&right=eval-right-0&show=some", 400),
        ("compare?left=eval-left-0&right=eval-right-0&page=x", 400),
    ],
)
async def test_a_wrong_address_is_answered_in_a_sentence(pair: Path, address: str, status: int) -> None:
    """And never with the page of a bug."""
    async with running(pair) as ui:
        got = await (await ui.signed_in()).get(f"/ui/experiments/{address}")
        assert got.status == status
        assert "This page failed" not in got.text


async def test_checks_are_listed_with_what_showed_their_verdict(tmp_path: Path) -> None:
    """The newest first; each leads to its figures, its reasons and its prompts, whose outcomes lead to trials. All escaped."""
    row = CheckedPrompt(
        prompt_id=HOSTILE,
        prompt_kind="direct",
        needs_call=True,
        now=(WRONG,),
        verdict="fail",
        must_pass=True,
        trial_ids=("trial-1",),
    )
    failed = finished("fail", check_id="check-1", model=HOSTILE, rows=(row,))
    passed = finished("pass", check_id="check-2")
    await store(tmp_path, [failed, passed])
    async with running(tmp_path) as ui:
        browser = await ui.signed_in()
        text = (await browser.get("/ui/experiments")).text
        assert "Nothing was tried yet" not in text
        assert text.index("/ui/experiments/check/check-2") < text.index("/ui/experiments/check/check-1")
        assert HOSTILE not in text
        text = (await browser.get("/ui/experiments/check/check-1")).text
        assert HOSTILE not in text
        for words in ("fails", "no regression", "/ui/experiments/trial/trial-1", "selfopt show check-1"):
            assert words in text
        assert "passes" in (await browser.get("/ui/experiments/check/check-2")).text
        assert (await browser.get("/ui/experiments/check/check-9")).status == 404
