"""Live traffic that is not like the calibration any more voids the threshold of its rule, for all and for good."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from selfopt.dialects.chat_body import BodyLimits, ChatBody, at_once, reading_body
from selfopt.errors import LockedError, UsageError
from selfopt.gateway import DriftFile, DriftMarks, DriftWatch
from selfopt.gateway.ticket import FeedbackRecord
from selfopt.home import ChainedFile, KeyFile
from selfopt.records import RoutingConfig, Rule, Variant, Voided
from selfopt.routing import ThresholdsHeld
from selfopt.words.thresholds import verdict_text
from tests.looptime import pass_time

from .kit import MemoryJournal, World, gateway_world, until
from .test_escalation import CALL, MODELS, READS, asked_models, asking, metric, serve_when, sure_rule
from .test_harness import promote
from .test_observing import promote_other

# All unsure: far above the 37 % that the calibration of these tests allows.
ENOUGH = 60
FEEDBACK = "/v1/feedback"


def chat_of(text: str) -> ChatBody:
    body = {"model": "m", "messages": [{"role": "user", "content": text}], "tools": []}
    return at_once(reading_body(json.dumps(body).encode(), BodyLimits()))


def rule(rule_id: str = "r-1", **fields: Any) -> Rule:
    body: dict[str, Any] = {"model": "up/m", "phase": "atomic", "allow": True, "fallback": "up/other", "serve_when": serve_when()}
    return Rule(rule_id=rule_id, **{**body, **fields})


def config(*rules: Rule) -> RoutingConfig:
    return RoutingConfig(version=1, rules=rules)


class Watching:
    """A watch, and what it did."""

    def __init__(self, rules: RoutingConfig, marks: DriftMarks | None = None, file: DriftFile | None = None) -> None:
        self.rules = rules
        self.told: list[tuple[str, Voided]] = []
        self.voided: list[tuple[str, Voided]] = []
        self.error: Exception | None = None
        self.held = ThresholdsHeld(lambda rule, voided: self.told.append((rule.rule_id, voided)))
        self.watch = DriftWatch(self.held, self.void, marks=marks, file=file, clock=lambda: "now")
        self.watch.follow(rules)
        self.asked = 0

    def void(self, rule: Rule, voided: Voided) -> None:
        if self.error is not None:
            raise self.error
        self.voided.append((rule.rule_id, voided))

    def ask(self, n: int, *, sure: bool, of: Rule | None = None) -> list[str]:
        """So many different requests. Returns their ids."""
        ids = [f"req-{self.asked + number}" for number in range(n)]
        self.asked += n
        for name in ids:
            self.watch.judged(of or self.rules.rules[0], name, chat_of(name), sure)
        return ids

    def levels(self, watched: str) -> float:
        """How near the detectors are to their alarm."""
        name = f'selfopt_drift_level{{watched="{watched}"}} '
        return float(next(line for line in self.watch.lines(self.rules) if line.startswith(name)).removeprefix(name))


async def ask_until_void(world: World) -> int:
    """Ask what the model is not sure of. Returns how many requests it takes until the rule asks it no more."""
    for number in range(1, ENOUGH + 1):
        answer = await world.post(asking(f"weather, maybe {number}"))
        assert answer.status == 200
        if answer.headers["x-selfopt-escalated"] == "voided":
            return number
    raise AssertionError("the threshold is not void")


async def void_in_rules(world: World) -> Voided:
    """Wait until the rules have it, and read them as the gateway does."""
    drift = world.gateway.parts.drift
    assert drift is not None
    await until(lambda: not drift._tasks)
    await world.reload()
    return next(rule.voided for rule in world.enforcer.load().rules if rule.voided is not None)


async def shown(world: World) -> str:
    """What `selfopt routes show` prints, on one line."""
    environ = {**os.environ, **world.app.environ, "COLUMNS": "4000"}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "selfopt", "routes", "show", stdout=asyncio.subprocess.PIPE, env=environ
    )
    text, _ = await process.communicate()
    return " ".join(text.decode().split())


async def test_traffic_that_turns_unsure_voids_the_rule_and_everything_escalates(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """From the next request on, for all processes, with the reason in records, trail, log, metrics and `routes show`."""
    async with gateway_world(tmp_path, MODELS) as world:
        await sure_rule(world)
        assert (await world.post(asking("weather, surely"))).headers["x-selfopt-model"] == "up/m"
        assert await ask_until_void(world) > 10
        asked = asked_models(world).count("m")
        answer = await world.post(asking("weather, surely, once more"))
        assert (answer.headers["x-selfopt-model"], answer.headers["x-selfopt-escalated"]) == ("up/other", "voided")
        assert asked_models(world).count("m") == asked
        assert (world.records[-1].escalated, world.records[-1].voided) == (("voided",), "escalations")
        voided = await void_in_rules(world)
        assert voided.kind == "escalations"
        assert voided.rise is not None
        assert voided.rise.risen == voided.rise.of == asked - 1
        assert 0.33 < voided.rise.usual < 0.4
        answer = await world.post(asking("weather, surely, again"))
        assert answer.headers["x-selfopt-escalated"] == "voided"
        change = next(record for record in world.trail if record.details.get("cause") == "void")
        assert change.details["after"]["voided"]["kind"] == "escalations"
        assert [record.event for record in world.trail].count("threshold_void") == 1
        diverted = [record for record in world.trail if record.event == "diverted"][-1]
        assert "does not hold any more (drift of live traffic)" in diverted.reason
        assert caplog.text.count("is void (drift of live traffic: of the last") == 1
        assert await metric(world, 'selfopt_void_thresholds{reason="escalations"}') == 1
        assert await metric(world, 'selfopt_threshold_voids_total{reason="escalations"}') == 1
        assert await metric(world, 'selfopt_escalations_total{reason="voided"}') == 3
        told = await shown(world)
        assert "escalate everything to up/other, because the threshold is void (drift of live traffic: of the last" in told
        assert "100 % were not sure enough, and at most" in told


async def test_told_outcomes_void_the_rule_and_each_request_counts_once(tmp_path: Path) -> None:
    """Only of what the threshold served; the record of an outcome names the rule."""
    async with gateway_world(tmp_path, MODELS) as world:
        await sure_rule(world)
        served = [(await world.post(asking(f"weather, surely {n}"))).headers["x-request-id"] for n in range(20)]
        escalated = (await world.post(asking("weather, maybe"))).headers["x-request-id"]
        plain = (await world.post(asking("talk, maybe", tools=[]))).headers["x-request-id"]
        for name in (escalated, plain, *[served[0]] * 30):
            assert (await world.post({"id": name, "success": False}, path=FEEDBACK)).status == 200
        assert await metric(world, 'selfopt_told_outcomes_total{outcome="wrong"}') == 1
        assert await metric(world, 'selfopt_told_outcomes_total{outcome="unknown"}') == 31
        assert (await world.post(asking("weather, surely, still"))).headers["x-selfopt-model"] == "up/m"
        for name in served[1:]:
            await world.post({"id": name, "success": False}, path=FEEDBACK)
        answer = await world.post(asking("weather, surely, at last"))
        assert (answer.headers["x-selfopt-model"], answer.headers["x-selfopt-escalated"]) == ("up/other", "voided")
        assert world.records[-1].voided == "outcomes"
        assert (await void_in_rules(world)).kind == "outcomes"
        journal = world.gateway.parts.chat.journal
        assert isinstance(journal, MemoryJournal)
        rules = [record.rule for record in journal.records if isinstance(record, FeedbackRecord)]
        assert rules[:2] == [None, None]
        assert rules[2] == world.records[0].rule
        assert rules[3:32] == [None] * 29
        told = verdict_text(next(rule for rule in world.enforcer.load().rules if rule.voided is not None))
        assert "because the threshold is void (told outcomes: of the last" in told


async def test_an_outcome_counts_for_who_answered(tmp_path: Path) -> None:
    """A sure answer whose last step fails is not served, and says nothing of the threshold."""
    plain = {"match": {"tools": False}, "fault": {"kind": "status", "status": 500}}
    replies = [plain, {"match": {"contains": "weather"}, "logprob": -0.1, **CALL}]
    async with gateway_world(tmp_path, {"m": {"replies": replies}}) as world:
        await sure_rule(world, variant=Variant(name="strict", parsers=("all@2", "fit@2", "strict")))
        answer = await world.post(asking("weather, surely"))
        assert (answer.headers["x-selfopt-model"], asked_models(world)[:2]) == ("up/other", ["m", "m"])
        assert (await world.post({"id": answer.headers["x-request-id"], "success": False}, path=FEEDBACK)).status == 200
        for outcome, count in (("unknown", 1), ("wrong", 0)):
            assert await metric(world, f'selfopt_told_outcomes_total{{outcome="{outcome}"}}') == count


async def test_a_key_that_may_not_give_feedback_voids_nothing_by_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    plain, _ = KeyFile(home / "gateway_keys.json", ChainedFile(home / "routing_decisions.jsonl")).add("plain")
    key = {"Authorization": f"Bearer {plain}"}
    async with gateway_world(tmp_path, MODELS) as world:
        await sure_rule(world)
        for n in range(20):
            name = (await world.post(asking(f"weather, surely {n}"), key)).headers["x-request-id"]
            assert (await world.post({"id": name, "success": False}, key, FEEDBACK)).status == 403
        assert (await world.post(asking("weather, surely, still"), key)).headers["x-selfopt-model"] == "up/m"
        assert not [rule for rule in world.enforcer.load().rules if rule.voided]


async def test_a_void_threshold_is_lifted_by_a_new_calibration_alone(tmp_path: Path) -> None:
    """Setting the same again is none."""
    async with gateway_world(tmp_path, MODELS) as world:
        await sure_rule(world)
        await ask_until_void(world)
        await void_in_rules(world)
        await sure_rule(world)
        assert (await world.post(asking("weather, surely"))).headers["x-selfopt-escalated"] == "voided"
        anew = serve_when().model_copy(update={"calibration_id": "cal-2"})
        await promote(world, READS, "up/m", fallback="up/other", serve_when=anew)
        await promote_other(world)
        assert (await world.post(asking("weather, surely"))).headers["x-selfopt-model"] == "up/m"
        assert await metric(world, 'selfopt_drift_level{watched="escalations"}') < 0.001


async def test_two_processes_share_what_is_void_and_whose_outcome_was_told(tmp_path: Path) -> None:
    """What one of them served may be told to the other, once; what one voids is void for the other through the rules."""
    marks, rules = DriftMarks(), config(rule())
    one, other = Watching(rules, marks), Watching(rules, marks)
    (name,) = one.ask(1, sure=True)
    assert [other.watch.told(name, False), one.watch.told(name, False)] == ["r-1", None]
    assert (one.levels("outcomes"), other.levels("outcomes") > 0) == (0.0, True)
    one.ask(ENOUGH, sure=False)
    assert one.held.voided(rules.rules[0]) is not None
    assert other.held.voided(rules.rules[0]) is None
    await until(lambda: bool(one.voided))
    ((_, voided),) = one.voided
    after = config(rules.rules[0].model_copy(update={"voided": voided}))
    for each in (one, other):
        each.watch.follow(after)
        assert each.held.voided(after.rules[0]) == voided
        assert len(each.told) == 1
        await each.watch.close()


async def test_a_repeated_request_counts_once(tmp_path: Path) -> None:
    """A client that asks one odd thing again and again says nothing about the rest."""
    async with gateway_world(tmp_path, MODELS) as world:
        await sure_rule(world)
        for _ in range(ENOUGH):
            assert (await world.post(asking("weather, maybe"))).headers["x-selfopt-escalated"] == "unsure"
        assert await metric(world, 'selfopt_drift_level{watched="escalations"}') < 0.001


async def test_traffic_like_that_of_the_calibration_voids_nothing() -> None:
    """Of these, one in three is not sure enough, and one in twenty wrong."""
    here = Watching(config(rule()))
    for number in range(1000):
        (name,) = here.ask(1, sure=number % 3 != 0)
        if number % 3:
            here.watch.told(name, number % 20 != 1)
    assert here.held.voided(here.rules.rules[0]) is None
    assert here.levels("escalations") < 0.01
    assert here.levels("outcomes") < 0.01


async def test_a_rule_that_changes_begins_anew_and_others_go_on() -> None:
    """Requests under an earlier calibration say nothing about a new one."""
    here = Watching(config(rule("r-1"), rule("r-2", phase="extended")))
    first, second = here.rules.rules
    for one in (first, second):
        here.ask(8, sure=False, of=one)
    changed = first.model_copy(update={"since_version": 2, "fallback": "up/third"})
    here.watch.follow(config(changed, second.model_copy()))
    detectors = {name: one.detectors["escalations"].seen for name, one in here.watch._thresholds.items()}
    assert detectors == {"r-1": 0, "r-2": 8}
    anew = first.model_copy(update={"serve_when": serve_when().model_copy(update={"calibration_id": "cal-2"})})
    here.watch.follow(config(anew))
    here.ask(ENOUGH, sure=False, of=first)
    here.ask(ENOUGH, sure=False, of=second)
    assert here.watch._thresholds["r-1"].detectors["escalations"].seen == 0
    assert not here.told


async def test_where_the_bound_is_about_tools_not_seen_outcomes_alone_are_watched() -> None:
    """Each tool set may escalate as often as it likes."""
    when = serve_when()
    unseen = rule(serve_when=when.model_copy(update={"bound": when.bound.model_copy(update={"claim": "unseen_tools"})}))
    here = Watching(config(unseen))
    here.ask(500, sure=False)
    assert not here.told
    for name in here.ask(20, sure=True):
        here.watch.told(name, False)
    assert [voided.kind for _, voided in here.told] == ["outcomes"]
    await here.watch.close()


@pytest.mark.parametrize("bound", [{"n": 0, "served": 0}, {"n": 5, "served": 9}, {"max_bad_share": 0.0}, {"max_bad_share": 1.0}])
async def test_odd_bounds_of_a_file_by_hand_are_watched_without_a_fault(bound: dict[str, Any]) -> None:
    when = serve_when()
    here = Watching(config(rule(serve_when=when.model_copy(update={"bound": when.bound.model_copy(update=bound)}))))
    for name in here.ask(20, sure=True) + here.ask(20, sure=False):
        here.watch.told(name, False)
    assert here.levels("outcomes") > 0
    await here.watch.close()


async def test_a_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    """With the rule as it was; another begins anew, and so does one whose file is damaged."""
    file = DriftFile(tmp_path / "drift.json")
    here = Watching(config(rule()), file=file)
    for name in here.ask(5, sure=True):
        here.watch.told(name, False)
    here.ask(8, sure=False)
    await here.watch.close()
    after = Watching(config(rule()), file=file)
    for watched in ("escalations", "outcomes"):
        assert after.levels(watched) == here.levels(watched) > 0
    changed = Watching(config(rule(since_version=2)), file=file)
    assert changed.levels("escalations") == 0


async def test_what_could_not_be_written_into_the_rules_is_void_after_a_restart(tmp_path: Path) -> None:
    """At once, before any request; and it is put into the rules then."""
    file = DriftFile(tmp_path / "drift.json")
    here = Watching(config(rule()), file=file)
    here.error = LockedError("the routing rules are in use")
    here.ask(ENOUGH, sure=False)
    await here.watch.close()
    after = Watching(config(rule()), file=file)
    assert after.held.voided(after.rules.rules[0]) is not None
    await until(lambda: bool(after.voided))
    assert [(name, voided.kind) for name, voided in after.voided] == [("r-1", "escalations")]
    await after.watch.close()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "null",
        '{"schema_version": 2}',
        '{"schema_version": 1, "thresholds": {"r-1 0 cal-1": {"others": [1]}}}',
        '{"schema_version": 1, "thresholds": {"r-1 0 cal-1": {"escalations": [1]}}}',
        '{"schema_version": 1, "thresholds": {"r-1 0 cal-1": {"escalations": [1, 2, 3, 4, 5, 6, 7]}}}',
        '{"schema_version": 1, "thresholds": {"r-1 0 cal-1": {"escalations": [9, 2, 1, 0, -1, 6, 7]}}}',
        '{"schema_version": 1, "thresholds": {"r-1 0 cal-1": {"escalations": [9, 2, 1, 0, 1e300, 6, 7]}}}',
        "x" * 100_000,
    ],
)
def test_a_damaged_file_of_states_is_said_and_begins_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str) -> None:
    (tmp_path / "drift.json").write_text(text)
    here = Watching(config(rule()), file=DriftFile(tmp_path / "drift.json"))
    assert here.levels("escalations") == here.levels("outcomes") == 0
    assert "begin" in caplog.text
    assert "anew" in caplog.text


@pytest.mark.own_time
async def test_if_the_rules_cannot_be_written_it_is_void_here_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """After a minute, until it works."""
    here = Watching(config(rule()))
    here.error = LockedError("the routing rules are in use")
    here.ask(ENOUGH, sure=False)
    assert here.held.voided(here.rules.rules[0]) is not None
    await until(lambda: "void in this process alone, for now: the routing rules are in use" in caplog.text)
    assert not here.voided
    here.error = None
    pass_time(61.0)
    await until(lambda: bool(here.voided))
    await here.watch.close()


async def test_a_rule_that_was_calibrated_anew_meanwhile_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    here = Watching(config(rule()))
    here.error = UsageError("the rule r-1 was calibrated anew meanwhile; its new threshold stays")
    with caplog.at_level(logging.WARNING):
        here.ask(ENOUGH, sure=False)
        await until(lambda: "its new threshold stays" in caplog.text)
    anew = rule(serve_when=serve_when().model_copy(update={"calibration_id": "cal-2"}))
    assert here.held.voided(anew) is None
    await here.watch.close()


@pytest.mark.own_time
async def test_the_states_are_kept_now_and_then(tmp_path: Path) -> None:
    """So that a killed process loses a minute, and nothing is written where nothing happens."""
    file = DriftFile(tmp_path / "drift.json")
    here = Watching(config(rule()), file=file)
    pass_time(300.0)
    await asyncio.sleep(0)
    assert not file.read()
    here.ask(8, sure=False)
    pass_time(61.0)
    await until(lambda: bool(file.read()))
    ((mark, states),) = file.read().items()
    assert (mark, states["escalations"][0]) == ("r-1 0 cal-1", 8)
    await here.watch.close()
