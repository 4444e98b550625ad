"""Measures how often the tools that a request needs are among those that are shown.

    python perf/tool_pruning.py [--embedding local/all-minilm-l6-v2 ...] [--suite atomic-300] [--json]

All tool sets of a suite are offered together with each of its prompts, and `keep_tools` shows one, three
or five of them: by words, by the meaning that each embedding model sees, and by both. A prompt counts as right
where all tools of a right answer are shown. Prompts that need no call are left out, and so are held-out
prompts unless `--split` asks for them. No chat model is asked. A tool of the same name in several sets
is offered as in the prompt's own set.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from selfopt.records import ChatRequest, ExpectedCall, Prompt, ReplyContent, Suite, ToolDefinition
from selfopt.stats import wilson_interval
from selfopt.variants.meaning import nearest_tools
from selfopt.variants.options import VariantOptions
from selfopt.variants.step import RenderedStep
from selfopt.wiring.app import App

KEPT = (1, 3, 5)
ToolsBy = Literal["meaning", "both"]
Answer = Callable[[RenderedStep], Awaitable[ReplyContent]]


@dataclass(frozen=True, slots=True)
class Recall:
    """How often the needed tools were shown.

    Attributes:
        by: `words`, or what chose and the embedding model.
        keep: how many tools were shown.
        whole: prompts for which all tools were shown, as nothing told which ones; they count as right.
        low, high: the 95 % interval of the share, if prompts were independent.
        ms: milliseconds of one choice, at the median; the first prompt embeds the tools.
    """

    by: str
    keep: int
    right: int
    whole: int
    prompts: int
    tools: int
    low: float
    high: float
    ms: float


def offered(suite: Suite, prompt: Prompt) -> tuple[ToolDefinition, ...]:
    """All tools of a suite, each name once."""
    own = {tool.name: tool for tool in suite.tools_of(prompt)}
    every = {tool.name: tool for tools in suite.tool_sets.values() for tool in tools}
    return tuple((every | own).values())


async def shown(
    keep: int, by: ToolsBy, prompt: Prompt, tools: Sequence[ToolDefinition], answer: Answer
) -> Sequence[ToolDefinition]:
    """The tools that are shown."""
    options = VariantOptions(keep_tools=keep, tools_by=by, embedding="any")
    steps = nearest_tools(options, prompt.messages, tools)
    try:
        steps.send(await answer(next(steps)))
    except StopIteration as end:
        found: Sequence[ToolDefinition] = end.value
        return found
    raise AssertionError("a choice of tools takes one step")


async def measured(name: str, by: ToolsBy, suite: Suite, prompts: Sequence[Prompt], answer: Answer) -> list[Recall]:
    """The recall for each number of tools."""
    found = []
    for keep in KEPT:
        right, whole, took, among = 0, 0, list[float](), 0
        for prompt in prompts:
            tools = offered(suite, prompt)
            began = time.perf_counter()
            names = {tool.name for tool in await shown(keep, by, prompt, tools, answer)}
            whole += len(names) == len(tools)
            took.append((time.perf_counter() - began) * 1000)
            right += any(calls and _names(calls) <= names for calls in prompt.expected if isinstance(calls, tuple))
            among = len(tools)
        share = wilson_interval(right, len(prompts))
        found.append(Recall(name, keep, right, whole, len(prompts), among, share.low, share.high, sorted(took)[len(took) // 2]))
    return found


def _names(calls: Sequence[ExpectedCall]) -> set[str]:
    return {call.name for call in calls}


async def by_words(_step: RenderedStep) -> ReplyContent:
    """An empty reply, so that words choose."""
    return ReplyContent()


async def by_model(model: str, suite: Suite, prompts: Sequence[Prompt], home: Path | None) -> list[Recall]:
    """What an embedding model brings. Its endpoint is that of the settings."""
    async with App.open(home, {"models": {"embedding": model}}) as app:
        name = app.settings.resolve_model(model)
        source = app.sender.embedding(name, asked=name)

        async def answer(step: RenderedStep) -> ReplyContent:
            return (await source.endpoint.chat(ChatRequest(model=source.model, messages=step.messages))).content

        ways: tuple[ToolsBy, ...] = ("meaning", "both")
        return [one for by in ways for one in await measured(f"{by}: {name}", by, suite, prompts, answer)]


async def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--embedding", action="append", default=[], metavar="MODEL")
    parser.add_argument("--suite", default="atomic-300")
    parser.add_argument("--split", default="search", choices=("search", "heldout", "all"))
    parser.add_argument("--home", type=Path)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with_home = App.open(chosen.home)
    suite = with_home.suite(chosen.suite)
    prompts = [prompt for prompt in suite.select(chosen.split) if prompt.needs_call]
    found = await measured("words", "meaning", suite, prompts, by_words)
    for model in chosen.embedding:
        found += await by_model(model, suite, prompts, chosen.home)
    if chosen.json:
        print(json.dumps([asdict(one) for one in found], indent=2))
        return
    print(f"{suite.name}, {chosen.split}: {len(prompts)} prompts, {found[0].tools} tools")
    for one in found:
        share = f"{one.right / one.prompts:.3f} ({one.low:.3f} to {one.high:.3f})"
        print(f"{one.by:34} {one.keep} shown  {share}  {one.ms:6.1f} ms" + f", all shown {one.whole} times" * bool(one.whole))


if __name__ == "__main__":
    asyncio.run(main())
