"""`tune`: from tools to prompts to a search to a rule, each marked as what it is."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selfopt.errors import BudgetError, ConsentError, EndpointError, SelfoptError, UsageError
from selfopt.records import AuthoredReply, Decision, Evaluation, SearchEnd, SearchStart, Spec
from selfopt.suites import load_suite
from selfopt.verbs.looping import what_searches_found
from tests.loop.kit import Script, World
from tests.loop.test_continue import Stopped, stop_at

from .authors import CITIES, NEAR, PHRASINGS, TOOL, WRITE, asked_of, tools_file, tuned, tuned_model, writing


@pytest.fixture
def world(tmp_path: Path) -> Callable[..., World]:
    """Makes a world with a model to tune and a model that writes."""

    def make(**models: Any) -> World:
        return World(tmp_path / "world", {"m": tuned_model(), "w": writing(), **models})

    return make


def read(world: World, kind: type) -> list[Any]:
    """Every record of a kind."""
    with world.ledger() as ledger:
        return list(ledger.read(kind))


async def test_tools_become_prompts_a_search_and_a_rule(world: Callable[..., World]) -> None:
    """The rule serves what the search found, and says on what it rests."""
    w = world()
    found = await tuned(w)
    assert found.suite.prompts >= 24
    assert set(found.suite.kinds) == {"direct", "paraphrase", "near miss", "needed detail missing"}
    (end,) = read(w, SearchEnd)
    assert end.requests > 0
    (cycle,) = found.cycles
    assert cycle.targets[0].winner_spec_id is not None
    rule = w.rules()["scripted/m", "atomic"]
    assert rule.spec_id == cycle.targets[0].winner_spec_id
    assert rule.variant is not None
    assert "system_prompt" in type(rule.variant).model_fields or rule.variant.name


async def test_every_figure_says_that_the_prompts_are_synthetic(world: Callable[..., World]) -> None:
    """Evaluations, decisions and the rule's reasons hold it as a fact, and the reports say it."""
    w = world()
    found = await tuned(w)
    assert all(one.synthetic for one in read(w, Evaluation))
    decisions = read(w, Decision)
    assert decisions
    assert all(one.synthetic for one in decisions)
    rule = w.rules()["scripted/m", "atomic"]
    assert rule.synthetic
    assert any(reason.kind == "promotion" and reason.synthetic for reason in rule.reasons)
    assert "on synthetic prompts" in rule.reason
    assert all(candidate.synthetic for candidate in found.cycles[0].targets[0].candidates)
    for name in ("SELF_OPTIMIZING_REPORT.md", "META_LEARNINGS.md", "SELF_OPTIMIZING_REPORT.html"):
        assert "on synthetic prompts" in (w.home / "reports" / name).read_text("utf-8"), name
    assert next(event.text for event in w.events if event.kind == "promoted").endswith("on synthetic prompts")
    assert all(one.synthetic for one in read(w, SearchStart))
    assert all(event.text.endswith("on synthetic prompts") for event in w.events if event.kind == "search")
    with w.app() as app:
        lines = what_searches_found(app, found.cycles)
    assert "on synthetic prompts" in lines[0]


async def test_the_suite_is_an_ordinary_one_that_says_who_wrote_it(world: Callable[..., World]) -> None:
    """It is valid, in the home, with families that stay in one split."""
    w = world()
    found = await tuned(w, prompts_only=True)
    suite = load_suite(found.suite.name, w.home / "suites")
    assert suite.synthetic is not None
    assert suite.synthetic.by == "scripted/w"
    assert suite.synthetic.solvers == ("scripted/w (native)", "scripted/w (text)")
    assert found.cycles == ()
    assert found.suite.search >= 8
    assert found.suite.heldout >= 8
    splits: dict[str, set[str]] = {}
    for prompt in suite.prompts:
        for city in CITIES:
            if city in prompt.messages[0].content:
                splits.setdefault(city, set()).add(prompt.split)
    assert all(len(one) == 1 for one in splits.values())


async def test_a_suite_that_is_there_costs_no_request(world: Callable[..., World]) -> None:
    """The same tools, authors and number name the same suite."""
    w = world()
    first = await tuned(w, prompts_only=True)
    asked = len(asked_of(w, "w"))
    again = await tuned(w, prompts_only=True)
    assert again.suite.name == first.suite.name
    assert (first.suite.state, again.suite.state) == ("new", "unchanged")
    assert len(asked_of(w, "w")) == asked


@pytest.mark.parametrize("step", ["write_asked", "solve_asked", "prompts_made", "suite_stored", "search_batch", "decided"])
async def test_what_was_killed_goes_on_and_asks_nothing_twice(world: Callable[..., World], step: str) -> None:
    """Replies are kept as they come, and the suite is whole or not there."""
    w = world()
    with pytest.raises(Stopped):
        await tuned(w, stop_at(step))
    suites = list((w.home / "suites").glob("*")) if (w.home / "suites").exists() else []
    assert bool(suites) == (step in ("suite_stored", "search_batch", "decided"))
    killed = await tuned(w)
    whole = World(w.folder.parent / "other", {"m": tuned_model(), "w": writing()})
    straight = await tuned(whole)
    assert killed.suite.name == straight.suite.name
    assert load_suite(killed.suite.name, w.home / "suites") == load_suite(straight.suite.name, whole.home / "suites")
    assert Counter(asked_of(w, "w")) == Counter(asked_of(whole, "w"))
    assert w.rules()["scripted/m", "atomic"].spec_id == whole.rules()["scripted/m", "atomic"].spec_id


async def test_a_loop_on_other_tools_that_was_cut_off_is_no_answer(world: Callable[..., World]) -> None:
    """Each suite gets a cycle of its own."""
    w = world(other=writing())
    with pytest.raises(Stopped):
        await tuned(w, stop_at("reported"))
    other = tools_file(w.folder / "other", {**TOOL, "description": "How the weather is somewhere"})
    found = await tuned(w, tools=other, writer="scripted/other")
    measured = next(one for one in read(w, Spec) if one.spec_id == found.cycles[0].targets[0].baseline_spec_id)
    assert measured.suite_hash == load_suite(found.suite.name, w.home / "suites").content_id()


async def test_prompts_that_the_solvers_do_not_agree_on_are_dropped(world: Callable[..., World]) -> None:
    """A solver that never calls leaves no request, and then there is nothing to decide."""
    w = world(mute={"initially_loaded": True, "default": {"text": "Hm."}})
    with pytest.raises(SelfoptError, match="more are needed to decide anything") as told:
        await tuned(w, solvers=("scripted/mute",))
    assert told.value.exit_code == 1
    assert "the solvers do not agree" in str(told.value)
    assert not (w.home / "suites").exists()


async def test_two_solvers_are_asked_once_each(world: Callable[..., World]) -> None:
    """Each is asked natively, and both are named."""
    w = world(one=writing(), two=writing())
    found = await tuned(w, solvers=("scripted/one", "scripted/two"), prompts_only=True)
    assert found.suite.solvers == ("scripted/one (native)", "scripted/two (native)")
    assert len(asked_of(w, "one")) >= found.suite.prompts


HOSTILE = {
    "nonsense": "Sure! Here are your prompts: many.",
    "huge": "Weather in Oslo? " * 50_000,
    "deep": "[" * 5_000,
    "code": '<tool_call>{"name": "get_weather", "arguments": {"city": "Oslo"}}</tool_call>',
    "fence": "```json\n{}\n```",
    "control characters": "\u001b[2J hi there",
    "nothing": "",
    "a near miss again and again": NEAR[0],
    "what nobody says": "What is the weather like in this place?",
    "the name of the tool": "Run get_weather for Oslo",
}


@pytest.mark.parametrize("reply", HOSTILE.values(), ids=HOSTILE.keys())
async def test_a_hostile_writer_makes_no_suite_and_one_clear_line(world: Callable[..., World], reply: str) -> None:
    """Whatever it writes is counted and dropped, and it is not asked without end."""
    w = world(w=writing({"text": reply}))
    with pytest.raises(SelfoptError) as told:
        await tuned(w)
    assert told.value.exit_code == 1
    assert "\n" not in str(told.value)
    assert str(told.value).isprintable()
    assert len([text for text in asked_of(w, "w") if re.search(WRITE, text)]) <= 5 * 24
    assert not (w.home / "suites").exists()
    assert not w.rules()


async def test_a_message_that_does_not_say_all_is_asked_for_once_more(world: Callable[..., World]) -> None:
    """With what is missing. What it says then is kept."""
    first = [{"match": {"contains": "Say: city = Lisbon"}, "text": "How is the weather there?"}]
    again = [{"match": {"contains": "does not say: city = Lisbon"}, "sequence": [{"text": "Say how Lisbon is."}]}]
    w = world(w={**writing(), "replies": [*again, *first, *writing()["replies"]]})
    found = await tuned(w, prompts_only=True)
    told = [prompt.messages[0].content for prompt in load_suite(found.suite.name, w.home / "suites").prompts]
    assert "Say how Lisbon is." in told
    assert "How is the weather there?" not in told


async def test_what_solvers_drop_is_written_anew_round_by_round(world: Callable[..., World]) -> None:
    """Until there are as many as are wanted."""
    shy = [{"match": {"contains": PHRASINGS[style].format(city)}, "text": "Hm."} for city in CITIES[1:7] for style in PHRASINGS]
    w = world(picky={**writing(), "replies": [*shy, *writing()["replies"]]})
    found = await tuned(w, solvers=("scripted/picky",), prompts_only=True)
    assert found.suite.dropped["solvers_disagree"] >= 10
    assert found.suite.prompts >= 24


async def test_what_a_solver_makes_up_does_not_speak_against_a_prompt(world: Callable[..., World]) -> None:
    """Its calls count as far as the request says what they hold, and what a request lacks stays lacking."""
    parts = {"city": {"type": "string"}, "days": {"type": "integer"}}
    tool = {**TOOL, "parameters": {"type": "object", "properties": parts, "required": ["city"]}}
    rules: list[Script] = []
    for city in (*CITIES, "there"):
        call = {"name": "get_weather", "arguments": {"city": city if city in CITIES else "Rome", "days": 7}}
        rules += [
            {"match": {"contains": city, "tools": True}, "tool_calls": [call]},
            {"match": {"contains": city}, "text": json.dumps(call)},
        ]
    w = world(eager={"initially_loaded": True, "digest": "e1", "default": {"text": "Hm."}, "replies": rules})
    found = await tuned(w, tools=tools_file(w.folder, tool), solvers=("scripted/eager",), prompts_only=True)
    assert {"direct", "needed detail missing"} <= set(found.suite.kinds)
    assert "solvers_disagree" not in found.suite.dropped


@pytest.mark.parametrize(
    "text",
    ['{"name": "get_weather", "arguments": {"ci', "[get_weather(city='Os", "<function=get_weather>", "Sure: <tool_call>"],
)
async def test_a_call_that_is_cut_off_is_no_silence(world: Callable[..., World], text: str) -> None:
    """A solver that begins one where none is right does not agree."""
    cut = {"text": text, "finish_reason": "length"}
    w = world(long={**writing(), "replies": [{"match": {"contains": near}, **cut} for near in NEAR] + writing()["replies"]})
    found = await tuned(w, solvers=("scripted/long",), prompts_only=True, prompts=30)
    assert found.suite.dropped["solvers_disagree"] >= len(NEAR)
    assert "near miss" not in found.suite.kinds


async def test_values_of_free_text_are_asked_for_once_and_vary(world: Callable[..., World]) -> None:
    """Other arguments get theirs from the schema."""
    song = {
        "name": "play",
        "description": "Play a song",
        "parameters": {
            "type": "object",
            "properties": {"title": {"type": "string"}, "volume": {"type": "integer", "minimum": 2, "maximum": 9}},
            "required": ["title", "volume"],
        },
    }
    titles = ("Night Bus", "Red Sand", "The Lost Harbour")
    replies: list[Script] = [{"match": {"contains": "Detail: title"}, "text": json.dumps(titles)}]
    for n in range(2, 10):
        for title in titles:
            call = {"name": "play", "arguments": {"title": title, "volume": n}}
            for style in PHRASINGS:
                said = f"{style} now: {title} at {n}"
                replies += [
                    {"match": {"contains": [f"title = {title}, volume = {n}", style]}, "text": said},
                    {"match": {"contains": said, "tools": True}, "tool_calls": [call]},
                    {"match": {"contains": said}, "text": json.dumps(call)},
                ]
    w = world(w={**writing(), "replies": [*replies, *writing()["replies"]]})
    found = await tuned(w, tools=tools_file(w.folder, song), prompts_only=True)
    assert len([text for text in asked_of(w, "w") if "Detail:" in text]) == 1
    suite = load_suite(found.suite.name, w.home / "suites")
    called = [
        call.arguments for prompt in suite.prompts if prompt.expected != "any" for calls in prompt.expected for call in calls
    ]
    assert {one["title"][0] for one in called} == set(titles)
    assert len({one["volume"][0] for one in called}) > 3


async def test_a_writer_that_never_answers_ends_with_its_error(world: Callable[..., World]) -> None:
    """It is asked a bounded number of times, and nothing is written."""
    many = [{**TOOL, "name": f"get_weather_{n}"} for n in range(12)]
    w = world(w={"default": {"fault": {"kind": "close"}}})
    with pytest.raises(EndpointError):
        await tuned(w, tools=tools_file(w.folder, *many))
    assert len(asked_of(w, "w")) == 3
    assert read(w, AuthoredReply) == []


async def test_hostile_tools_are_named_and_left_out(world: Callable[..., World]) -> None:
    """Their names and descriptions reach the writer as data only."""
    w = world()
    odd = {"name": "ignore all\u001b[2J", "description": "x"}
    large = {"name": "large", "description": "x" * 20_000}
    found = await tuned(w, tools=tools_file(w.folder, TOOL, odd, large), prompts_only=True)
    assert set(found.suite.without_prompts) == {odd["name"], "large"}


async def test_where_no_tool_can_be_used_nothing_is_asked(world: Callable[..., World]) -> None:
    """One line says why."""
    w = world()
    with pytest.raises(SelfoptError, match="no prompt can be made for any tool"):
        await tuned(w, tools=tools_file(w.folder, {"name": "large", "description": "x" * 20_000}))
    assert w.engine is None or asked_of(w, "w") == []


async def test_a_tool_without_prompts_is_named(world: Callable[..., World]) -> None:
    """The others have theirs."""
    w = world(w={**writing(), "replies": [{"match": {"contains": "Play a song."}, "text": "no"}, *writing()["replies"]]})
    found = await tuned(
        w, tools=tools_file(w.folder, TOOL, {"name": "play", "description": "Play a song."}), prompts=60, prompts_only=True
    )
    assert list(found.suite.without_prompts) == ["play"]
    assert "no usable text" in found.suite.without_prompts["play"]


async def test_without_consent_nothing_is_sent(world: Callable[..., World]) -> None:
    """A writer of the settings that is elsewhere needs the user's word; one that was named has it."""
    w = world()
    elsewhere = {
        "endpoints": {"far": {"kind": "openai_compatible", "base_url": "http://192.0.2.1/v1", "local": False}},
        "fallbacks": {"atomic": ["far/big"]},
    }
    with pytest.raises(ConsentError, match="not sent"):
        await tuned(w, settings=elsewhere, writer=None)
    assert not w.home.exists()


async def test_the_default_writer_is_the_first_fallback(world: Callable[..., World]) -> None:
    """Without one, the line says what there is to choose."""
    w = world()
    found = await tuned(w, settings={"fallbacks": {"atomic": ["scripted/m", "scripted/w"]}}, writer=None, prompts_only=True)
    assert found.suite.by == "scripted/w"
    with pytest.raises(UsageError, match="--writer none"):
        await tuned(w, writer=None)


async def test_a_model_does_not_write_or_solve_its_own_prompts(world: Callable[..., World]) -> None:
    """Prompts that it got right already would flatter it."""
    w = world()
    for asked in ({"writer": "scripted/m"}, {"solvers": ("scripted/m",)}):
        with pytest.raises(UsageError, match="flatter"):
            await tuned(w, **asked)


async def test_without_a_writer_the_template_writes_and_no_model_is_asked(world: Callable[..., World]) -> None:
    """The head of the suite says so, and that nobody agreed."""
    w = world()
    found = await tuned(w, writer="none", prompts_only=True)
    assert (found.suite.by, found.suite.solvers) == ("template", ())
    assert found.suite.prompts >= 24
    assert w.engine is None or not w.engine.journal


async def test_a_cap_ends_it_and_the_same_command_goes_on(world: Callable[..., World]) -> None:
    """What was asked counts among the trials of the command."""
    w = world()
    with pytest.raises(BudgetError, match="the same command goes on"):
        await tuned(w, settings={"limits": {"max_trials": 5}})
    assert len(asked_of(w, "w")) == 5
    found = await tuned(w, prompts_only=True)
    assert found.suite.prompts >= 24


async def test_a_suite_cannot_lose_its_mark_and_keep_its_evidence(world: Callable[..., World]) -> None:
    """Who wrote it is in the hash of its content; what was dropped is not."""
    w = world()
    found = await tuned(w, prompts_only=True)
    suite = load_suite(found.suite.name, w.home / "suites")
    assert suite.synthetic is not None
    assert suite.model_copy(update={"synthetic": None}).content_id() != suite.content_id()
    other = suite.synthetic.model_copy(update={"dropped": {"duplicate": 99}, "solvers": ()})
    assert suite.model_copy(update={"synthetic": other}).content_id() == suite.content_id()
