"""Does a chain read what a real model says at least as well as the chains of before? Keeps a small model's replies, and judges them.

    python perf/replies.py [--minutes 1] [--model local/qwen2.5-coder-0.5b]
    python perf/replies.py --compare [--chain all@2]

The first command asks the model for its single replies to `atomic`, `atomic-300` (search), and BFCL's `multiple` and `irrelevance`, as
`native_api` and then as `atomic` asks, and appends each reply to a file of JSON lines in the cache folder. A reply that is there isn't
asked for again, so the command goes on where it was ended. It stops when the replies of the file took `--minutes` of the engine's
time: one minute is what `make perf` asks for, and 75 are about enough for all 1,184. The engine's time is the CPU time of one of its
threads, so that other work on the machine makes the command longer and the sample no smaller. The second command asks no model. It
judges every kept reply twice, as its variant reads it today and by another chain, prints which verdicts differ and why, and ends with
1 if a right verdict is lost.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from selfopt.engine.store import ModelStore
from selfopt.errors import EndpointError, SelfoptError
from selfopt.home import ProcessLock
from selfopt.reading import read_calls
from selfopt.records import (
    ChatRequest,
    Fault,
    ModelStatus,
    Outcome,
    ParsedReply,
    Prompt,
    ReplyContent,
    Suite,
    Variant,
    content_hash,
)
from selfopt.scoring import scorer_of
from selfopt.scoring.judge import Scored
from selfopt.suites.importers.bfcl import import_bfcl
from selfopt.variants import render
from selfopt.verbs.bfcl import BFCL_WHEEL
from selfopt.wiring.app import App

BUILT_IN = (("atomic", "all"), ("atomic-300", "search"))
BFCL = ("multiple", "irrelevance")
# How replies were asked for, and the variant that reads them with the whole chain of before.
WAYS = {"native_api": "native_parsed", "atomic": "atomic"}
SEED = "replies"
HEADS = ("replies", "before", "now", "lost", "gained", "unread<", "unread>")
SHOWN_CHARS = 300
TIMEOUT_S = 900.0  # other work may leave the engine little of the processor
TOLD_EVERY_S = 60.0
MAX_FAILURES = 3


@dataclass(frozen=True, slots=True)
class Question:
    """One request, before its model is known. request_hash: of everything else that shapes it."""

    suite: Suite
    prompt: Prompt
    variant: Variant
    request: ChatRequest
    request_hash: str

    @classmethod
    def of(cls, suite: Suite, prompt: Prompt, variant: Variant) -> Question:
        """What a variant of one step without a constraint asks."""
        step = next(render(variant, prompt.messages, suite.tools_of(prompt)))
        request = ChatRequest(model="", messages=step.messages, tools=step.tools, sampling=step.sampling, timeout_s=TIMEOUT_S)
        shaped = request.model_dump(mode="json", include={"messages", "tools", "sampling"}, exclude_defaults=True)
        return cls(suite, prompt, variant, request, content_hash("request", shaped))

    @property
    def key(self) -> tuple[str, str, str]:
        """What a kept reply is found by."""
        return self.suite.name, self.prompt.id, self.request_hash


def judged(question: Question, variant: Variant, content: ReplyContent) -> tuple[Scored, ParsedReply]:
    """A reply as a variant with the same request reads it, judged as its suite judges."""
    prompt, tools = question.prompt, question.suite.tools_of(question.prompt)
    steps = render(variant, prompt.messages, tools)
    next(steps)
    final = content
    try:
        steps.send(content)
    except StopIteration as stop:
        final = stop.value
    parsed = read_calls(variant.parsers, final, tools, prompt.messages)
    fault: Fault | None = "truncated" if content.finish_reason == "length" else None
    return scorer_of(question.suite.judging).judge(prompt, tools, parsed, fault), parsed


def kept_at(root: Path, model: str) -> Path:
    """The file of replies of a model."""
    return root / "perf" / f"replies-{model.rpartition('/')[2].rpartition('-')[2]}.jsonl"


def kept_lines(path: Path) -> list[dict[str, Any]]:
    """All whole lines. The last one may be torn, when the machine went down."""
    if not path.exists():
        return []
    whole = path.read_bytes().rpartition(b"\n")[0]
    return [json.loads(line) for line in whole.splitlines()]


class Kept:
    """The file, open for appending by this process alone."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes() if path.exists() else b""
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.ftruncate(self._file, data.rfind(b"\n") + 1)

    def add(self, line: dict[str, Any]) -> None:
        """One line, by one write."""
        os.write(self._file, json.dumps(line).encode() + b"\n")
        os.fsync(self._file)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def suites_of(app: App) -> Iterator[tuple[Suite, tuple[Prompt, ...]]]:
    """Every suite and what is asked of it. Without the leaderboard's data only the built-in ones."""
    for name, split in BUILT_IN:
        suite = app.suite(name)
        yield suite, tuple(p for p in suite.prompts if split in ("all", p.split))
    try:
        wheel = ModelStore(app.store.root, folder="data", file="data.whl").pull(BFCL_WHEEL, lambda _: None)
    except SelfoptError as error:
        print(f"left out: BFCL's categories: {error}", file=sys.stderr)
        return
    for suite in import_bfcl(wheel, BFCL):
        yield suite, suite.prompts


def questions(app: App) -> list[Question]:
    """Everything that is asked, the most telling first.

    The leaderboard's prompts come in a fixed random order: should the time not suffice, those that
    were asked are a sample.
    """
    suites = list(suites_of(app))
    own = [(suite, prompt) for suite, prompts in suites[: len(BUILT_IN)] for prompt in prompts]
    others = [(suite, prompt) for suite, prompts in suites[len(BUILT_IN) :] for prompt in prompts]
    random.Random(SEED).shuffle(others)
    return [Question.of(*pair, app.variant(name)) for name in WAYS for pair in (*own, *others)]


def cpu_s(app: App, model: str) -> float:
    """The CPU time that the model's engine has used, in seconds."""
    times = psutil.Process(app.engine.pids()[model]).cpu_times()
    return float(times.user + times.system)


async def ask(
    app: App, model: str, missing: Sequence[Question], kept: Kept, options: argparse.Namespace, budget_s: float
) -> None:
    """Ask until the budget is spent, and keep each reply at once."""
    endpoint = app.sender.endpoint(model, asked=model)
    await app.engine.load(model, TIMEOUT_S)
    status = await app.engine.status(model)
    began = told = time.perf_counter()
    spent_s, failures = 0.0, 0
    for number, question in enumerate(missing[: options.limit], start=1):
        if spent_s >= budget_s:
            print(f"stopped after {number - 1}: the minutes are spent")
            return
        request = question.request.model_copy(update={"model": app.sender.server_model(model)})
        used_s = cpu_s(app, model)
        try:
            reply = await endpoint.chat(request)
        except EndpointError as error:
            failures += 1
            print(f"{question.suite.name} {question.prompt.id} {question.variant.name}: {error}", file=sys.stderr)
            if failures >= MAX_FAILURES:
                raise
            continue
        failures = 0
        engine_s = max(0.0, cpu_s(app, model) - used_s) / options.threads
        kept.add(line_of(question, app.variant(WAYS[question.variant.name]), status, reply.content, engine_s))
        spent_s += engine_s
        if time.perf_counter() - told > TOLD_EVERY_S:
            told = time.perf_counter()
            print(
                f"{number}/{len(missing)} in {(told - began) / 60:.1f} min ({question.suite.name}, {question.variant.name})",
                flush=True,
            )


def line_of(question: Question, reader: Variant, status: ModelStatus, content: ReplyContent, engine_s: float) -> dict[str, Any]:
    """What is kept of a reply.

    Tools and messages are those of the suite with this hash. The outcome is that of today's code, so
    that a change of a reader that should not have changed shows as well.
    """
    return {
        "suite": question.suite.name,
        "suite_hash": question.suite.content_id(),
        "prompt_id": question.prompt.id,
        "variant": question.variant.name,
        "request_hash": question.request_hash,
        "model_digest": status.digest,
        "engine": status.engine,
        "engine_build": status.engine_build,
        "engine_s": round(engine_s, 3),
        "outcome": judged(question, reader, content)[0].outcome,
        "reply": content.model_dump(mode="json"),
    }


async def ask_all(options: argparse.Namespace, home: Path) -> None:
    """Ask for what the file does not have yet, and say what it has then."""
    async with App.open(home, {"engine": {"threads": options.threads}}) as app:
        model = app.resolve_model(options.model)
        if app.store.find(model) is None:
            print(f"left out: {model} is not pulled; run: selfopt models pull {model}")
            return
        path = kept_at(app.store.root, model)
        path.parent.mkdir(parents=True, exist_ok=True)
        with ProcessLock(path.with_suffix(".lock"))("replies"):
            lines, wanted = kept_lines(path), questions(app)
            digest = app.catalogue[model].sha256
            have = {(line["suite"], line["prompt_id"], line["request_hash"]) for line in lines if line["model_digest"] == digest}
            missing = [question for question in wanted if question.key not in have]
            budget_s = options.minutes * 60 - sum(line["engine_s"] for line in lines)
            print(
                f"{path}: {len(lines)} replies; to ask: {len(missing)} of {len(wanted)}, within {budget_s / 60:.1f} min",
                flush=True,
            )
            if missing and budget_s > 0:
                kept = Kept(path)
                try:
                    await ask(app, model, missing, kept, options, budget_s)
                finally:
                    kept.close()
    lines = kept_lines(path)
    print(f"{path}: {len(lines)} replies, {sum(line['engine_s'] for line in lines) / 60:.1f} min of the engine")


@dataclass(frozen=True, slots=True)
class Compared:
    """A kept reply under both chains. before, now: the verdict, and what was read."""

    line: dict[str, Any]
    content: ReplyContent
    before: tuple[Scored, ParsedReply]
    now: tuple[Scored, ParsedReply]

    @property
    def was_right(self) -> bool:
        """By the chain of before, as that reads today or as it read on the day when the reply came.

        A call that passed for silence on the day because nothing read it was not right.
        """
        unread = self.before[1].unread is not None
        return not unread and Outcome.PASS in (self.before[0].outcome, self.line["outcome"])

    @property
    def is_right(self) -> bool:
        """By the other chain."""
        return self.now[0].outcome is Outcome.PASS

    @property
    def drifted(self) -> bool:
        """Whether the chain of before reads otherwise today than on the day."""
        return bool(self.before[0].outcome != self.line["outcome"])

    def tell(self) -> None:
        """What differs, and why."""
        line, (old, read_before), (new, read_now) = self.line, self.before, self.now
        print(f"{'gained' if self.is_right else 'LOST'}: {line['suite']} {line['prompt_id']} ({line['variant']})")
        on_the_day = f" ({line['outcome']} on the day)" if self.drifted else ""
        print(f"    before  {old.outcome}{on_the_day}: {old.why} [{read_before.recognised}]")
        print(f"    now     {new.outcome}: {new.why} [{read_now.recognised}]")
        print(f"    reply   {shown(self.content)}")


def compare(app: App, model: str, chain: tuple[str, ...]) -> int | None:
    """Judge every kept reply by both chains and print.

    Returns how many right verdicts are lost; None when no reply could be judged.
    """
    known = {(question.variant.name, *question.key): question for question in questions(app)}
    lines = kept_lines(kept_at(app.store.root, model))
    groups: dict[tuple[str, str], list[Compared]] = {}
    for line in lines:
        question = known.get((line["variant"], line["suite"], line["prompt_id"], line["request_hash"]))
        if question is None:
            continue
        content = ReplyContent.model_validate(line["reply"])
        reader = app.variant(WAYS[line["variant"]])
        other = reader.model_copy(update={"parsers": chain})
        one = Compared(line, content, judged(question, reader, content), judged(question, other, content))
        groups.setdefault((line["suite"], line["variant"]), []).append(one)
        if one.was_right != one.is_right:
            one.tell()
    print(f"{'suite':20} {'variant':10} {' '.join(f'{name:>8}' for name in HEADS)}")
    for (suite, name), group in groups.items():
        print(f"{suite:20} {name:10} {numbers(group)}")
    every = [one for group in groups.values() for one in group]
    print(f"{'all':20} {'':10} {numbers(every)}")
    print("unread>: " + (", ".join(f"{name} {count}" for name, count in unread_in(every).most_common()) or "none"))
    print(f"the chain of before reads otherwise than on the day: {sum(one.drifted for one in every)}")
    print(f"not judged, because their request would be another one today: {len(lines) - len(every)}")
    return sum(one.was_right and not one.is_right for one in every) if every else None


def numbers(group: Sequence[Compared]) -> str:
    """A row of the table, in the order of HEADS."""
    counts = (
        len(group),
        sum(one.was_right for one in group),
        sum(one.is_right for one in group),
        sum(one.was_right and not one.is_right for one in group),
        sum(one.is_right and not one.was_right for one in group),
        sum(one.before[1].unread is not None for one in group),
        sum(one.now[1].unread is not None for one in group),
    )
    return " ".join(f"{count:>8}" for count in counts)


def unread_in(group: Sequence[Compared]) -> Counter[str]:
    """How many replies the other chain leaves unread, by who sees a call in them."""
    return Counter(one.now[1].unread for one in group if one.now[1].unread is not None)


def shown(content: ReplyContent) -> str:
    """The beginning of a reply, as JSON, which a terminal can show."""
    calls = [call.model_dump(include={"name", "arguments"}) for call in content.tool_calls]
    parts = [part for part in (content.text, calls, content.broken_tool_calls) if part]
    text = json.dumps(parts)
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}..."


def main() -> int:
    """Ask, or compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--model", default="local/qwen2.5-coder-0.5b")
    parser.add_argument(
        "--minutes", type=float, default=1.0, help="engine's time for the whole file, earlier runs too (default 1)"
    )
    parser.add_argument("--limit", type=int, help="ask at most so many in this run")
    parser.add_argument("--threads", type=int, default=2, help="of the engine (default 2; 1 where others use the machine)")
    parser.add_argument("--compare", action="store_true", help="ask no model: judge the kept replies by two chains")
    parser.add_argument("--chain", default="all@2", help="the other chain: names with commas between them (default all@2)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        try:
            if not options.compare:
                asyncio.run(ask_all(options, home))
                return 0
            app = App.open(home)
            lost = compare(app, app.resolve_model(options.model), tuple(options.chain.split(",")))
        except SelfoptError as error:
            print(f"not done: {error}", file=sys.stderr)
            return 2
    if lost is None:
        print("not done: no reply is kept; ask for some first: python perf/replies.py --minutes 75", file=sys.stderr)
        return 2
    return int(lost > 0)


if __name__ == "__main__":
    sys.exit(main())
