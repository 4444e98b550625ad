"""What `selfopt serve` serves and what it escalates is, prompt by prompt, what the benchmark said of the same answers."""

from __future__ import annotations

import asyncio
import http.client
import json
import math
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

import openai
import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState

from selfopt.measure.readings import read_by_each
from selfopt.measure.rescore import stored_contents
from selfopt.measure.stored_signals import signalled
from selfopt.records import Outcome, Run, ServeWhen, Spec, Trial
from selfopt.wiring.app import App
from tests.forker import Forker, forker

from .sure_world import CALIBRATED, FALLBACK, SMALL, SUITE, Prompt, World, prompts, script, tools_of

Call = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Said:
    """What the benchmark read in a stored answer, the confidence in it (None where nothing tells it), and whether it is served."""

    calls: list[Call]
    text: str
    confidence: float | None
    served: bool
    right: bool


@dataclass(slots=True)
class Forked(World):
    """Runs its commands in processes that need not import everything again."""

    own_process: Forker

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One command."""
        return self.own_process.run("tests.forker:command", *arguments, cwd=self.root, environ=self.environ())

    @contextmanager
    def scripted(self) -> Iterator[str]:
        """The models' server, and its URL."""
        (self.root / "script.yaml").write_text(script(), "utf-8")
        with self.process("scripted", "script.yaml") as (_, url, _):
            yield url


@dataclass(frozen=True, slots=True)
class Served:
    """A world whose rule serves when sure, and what the benchmark says of every prompt."""

    world: World
    when: ServeWhen
    small: dict[str, Said]
    large: dict[str, Said]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client got."""

    headers: dict[str, str]
    calls: list[Call]
    text: str


async def _said(world: World, model: str, when: ServeWhen) -> dict[str, Said]:
    """Read the stored answers of a model as the benchmark does, without a gateway."""
    async with App.open(environ=world.environ(), cwd=world.root) as app:
        (run,) = [run for run in app.ledger.read(Run) if run.model == model]
        (spec,) = app.ledger.read(Spec, {"id": run.spec_id})
        suite, trials = app.suite(str(world.root / SUITE)), list(app.ledger.read(Trial, {"run_id": run.run_id}))
        read = read_by_each(app.ledger, spec, suite, trials, {"": spec.variant.parsers})[""]
        told = {one.prompt.id: one.signals for one in signalled(app.ledger, spec, suite, trials)}
        return {
            verdict.prompt_id: Said(
                [(call.name, dict(call.arguments)) for call in verdict.parsed.tool_calls],
                stored_contents(app.ledger, trial)[-1].text,
                when.model.confidence(signals) if when.model.tells(signals) else None,
                when.model.serves(signals, when.least),
                verdict.outcome is Outcome.PASS,
            )
            for verdict, trial in zip(read, trials, strict=True)
            for signals in (told[verdict.prompt_id],)
        }


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Measured, calibrated and put into force by commands alone. The models' server goes on."""
    used = ("selfopt.cli.audit", "selfopt.cli.escalation", "selfopt.cli.routes", "selfopt.cli.run", "tests.loaded")
    with forker(*used) as own_process, (world := Forked(tmp_path_factory.mktemp("sure"), own_process)).scripted() as url:
        world.settle(url)
        world.measure()
        found = world.calibrate()
        rule = world.rule(found["calibration"]["calibration_id"])
        when = ServeWhen.model_validate(rule["serve_when"])
        yield Served(world, when, *(asyncio.run(_said(world, model, when)) for model in (SMALL, FALLBACK)))


def client_of(url: str) -> openai.OpenAI:
    """The official client. Each request has a connection of its own, so that any worker may take it."""
    own = {"Connection": "close"}
    return openai.OpenAI(base_url=url, api_key="unused", max_retries=0, timeout=300, default_headers=own)


def asked(
    client: openai.OpenAI, prompt: Prompt, *, stream: bool, model: str = SMALL, more: Sequence[dict[str, Any]] = ()
) -> Answer:
    """One chat. more: what follows the prompt."""
    messages = [{"role": "user", "content": prompt.said}, *more]
    body: dict[str, Any] = {"model": model, "messages": messages, "tools": tools_of(prompt), "stream": stream}
    raw = client.chat.completions.with_raw_response.create(**body)
    whole = raw.parse()
    if stream:
        state = ChatCompletionStreamState()
        for chunk in whole:
            state.handle_chunk(chunk)
        whole = state.get_final_completion()
    choice = whole.choices[0]
    calls = [(call.function.name, json.loads(call.function.arguments)) for call in choice.message.tool_calls or ()]
    assert choice.finish_reason == ("tool_calls" if calls else "stop")
    return Answer(dict(raw.headers), calls, choice.message.content or "")


def expected(served: Served, prompt: Prompt) -> tuple[str, Said]:
    """Whose answer the benchmark says is served, and that answer."""
    mine = served.small[prompt.id]
    sure = mine.served and prompt.tool_set in CALIBRATED
    return (SMALL, mine) if sure else (FALLBACK, served.large[prompt.id])


def check(served: Served, prompt: Prompt, answer: Answer) -> None:
    """The answer is the one that the benchmark says is served, and the headers say why."""
    (who, said), mine, headers = expected(served, prompt), served.small[prompt.id], answer.headers
    assert headers["x-selfopt-model"] == who, (prompt, headers)
    assert answer.calls == said.calls
    if not said.calls:
        assert answer.text == said.text
    if prompt.tool_set not in CALIBRATED:
        assert headers["x-selfopt-escalated"] == "unmeasured"
        assert "x-selfopt-confidence" not in headers
        return
    if mine.confidence is None:
        assert (headers["x-selfopt-escalated"], headers.get("x-selfopt-confidence")) == ("unread", None)
        return
    assert float(headers["x-selfopt-confidence"]) == pytest.approx(math.floor(mine.confidence * 10_000) / 10_000, abs=1e-9)
    assert (headers.get("x-selfopt-escalated") in ("unsure", "invalid")) == (who == FALLBACK)


def test_the_suite_holds_every_sort_of_answer(served: Served) -> None:
    """Else the tests below would agree on little."""
    known = [prompt for prompt in prompts() if prompt.tool_set in CALIBRATED]
    sorts = {(expected(served, one)[0] == SMALL, served.small[one.id].right, bool(served.small[one.id].calls)) for one in known}
    assert sorts == {(sure, right, calls) for sure in (True, False) for right in (True, False) for calls in (True, False)}
    assert len({one.confidence for one in served.small.values()}) > 40
    assert None in {served.small[one.id].confidence for one in known}


@pytest.mark.parametrize("stream", [False, True])
def test_every_prompt_is_served_or_escalated_as_the_benchmark_says(served: Served, stream: bool) -> None:
    """With the same calls and the same text. Records and trail hold both attempts, with the same confidence."""
    world = served.world
    answers: dict[str, Answer] = {}
    with world.process("serve", "--port", "0") as (_, url, _), client_of(url) as client:
        for prompt in prompts():
            answers[prompt.id] = asked(client, prompt, stream=stream)
            check(served, prompt, answers[prompt.id])
    records = {one["id"]: one for one in world.records()}
    diverted = {one["details"]["request_id"]: one for one in world.trail() if one["event"] == "diverted"}
    for prompt in prompts():
        record = records[answers[prompt.id].headers["x-request-id"]]
        who, _ = expected(served, prompt)
        if who == SMALL:
            assert (record["outcome"], record["id"] in diverted) == ("served", False)
        else:
            assert (record["outcome"], record["served"]) == ("diverted", FALLBACK)
            told = diverted[record["id"]]["details"]["attempts"]
            assert told == record["attempts"][: len(told)]
        assert [one["model"] for one in record["attempts"]] == ([SMALL] if who == SMALL else [SMALL, FALLBACK])
        first = record["attempts"][0]
        if prompt.tool_set in CALIBRATED:
            wanted = served.small[prompt.id].confidence
            assert first.get("confidence") == (None if wanted is None else pytest.approx(wanted, rel=1e-12))
            assert first["least"] == served.when.least
    assert "verifies" in world.ok("audit", "verify")


def figures(url: str) -> dict[str, dict[str, float]]:
    """The figures of the worker that answers, by its number and their names."""
    host, port = re.findall(r"http://([\d.]+):(\d+)", url)[0]
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    connection.request("GET", "/metrics", headers={"Connection": "close"})
    text = connection.getresponse().read().decode()
    connection.close()
    found: dict[str, dict[str, float]] = {}
    for line in text.splitlines():
        if match := re.fullmatch(r'([a-z_]+\{.*?),?worker="(\d+)"\} (\S+)', line):
            found.setdefault(match[2], {})[match[1].rstrip("{") + ("}" if '"' in match[1] else "")] = float(match[3])
    return found


def test_several_workers_do_the_same_and_their_figures_add_up(served: Served) -> None:
    """A conversation that escalated stays with the stronger model, whichever worker goes on with it."""
    some = prompts()[:120:4]
    loops = [one for one in some if expected(served, one)[0] == FALLBACK and served.large[one.id].calls]
    assert len(loops) >= 4
    with served.world.process("serve", "--port", "0", "--workers", "2") as (_, url, _), client_of(url) as client:
        sure = 0
        for number, prompt in enumerate(some):
            check(served, prompt, asked(client, prompt, stream=bool(number % 2)))
            sure += expected(served, prompt)[0] == SMALL
        for prompt in loops:
            (name, given), *_ = served.large[prompt.id].calls
            call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": json.dumps(given)}}
            more: list[dict[str, Any]] = [
                {"role": "assistant", "tool_calls": [call]},
                {"role": "tool", "tool_call_id": "call_1", "content": "Done."},
            ]
            for stream in (False, True):
                headers = asked(client, prompt, stream=stream, more=more).headers
                assert (headers["x-selfopt-model"], headers["x-selfopt-escalated"]) == (FALLBACK, "sticky")
        each, total = dict[str, dict[str, float]](), dict[str, float]()
        # What one worker shows of the other is up to two seconds old. The test's timeout bounds it.
        while total.get("selfopt_request_seconds_count", 0) < len(some) + 2 * len(loops):
            each.update(figures(url))
            total = {name: sum(one.get(name, 0) for one in each.values()) for name in {*chain.from_iterable(each.values())}}
    assert set(each) == {"0", "1"}
    assert total['selfopt_sure_answers_total{outcome="served"}'] == sure
    assert total['selfopt_sure_answers_total{outcome="escalated"}'] == len(some) - sure + 2 * len(loops)
    assert total['selfopt_escalations_total{reason="sticky"}'] == 2 * len(loops)
    assert total["selfopt_confidence_count"] == sum(served.small[one.id].confidence is not None for one in some)
