"""What the confidence of an answer costs: microseconds of processor time for the signals of a reply and the confidence that a
model makes of them. Target: at most 100 at the median of replies with 40 tokens and three tools; missing it is said, not failed.

    python perf/signals.py [--replies 3000] [--json]

One process, one core, no model. The replies are the accepted calls of the built-in prompts, written in three formats, cut into
tokens and given made-up log probabilities. Reading them is not counted, as the variant does it anyway. `backing chain`: the chain
has dropped what the conversation does not back, as with `backing=strict`; every call that is left is backed, so that a fit finds
nothing in it and the model does not read it. `plain chain`: the model reads every signal.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scoring_speed import right_calls
from selfopt.reading import read_calls
from selfopt.reading.families import write_calls
from selfopt.reading.signals import signals_of
from selfopt.records import (
    CallFormat,
    ConfidenceModel,
    ConfidenceTerms,
    LogProbs,
    Message,
    ReplyContent,
    SignalName,
    SignalTerm,
    ToolCall,
    ToolDefinition,
)
from selfopt.suites import list_suites, load_suite

TARGET_US = 100
TOOLS = 3
_TOKEN = re.compile(r"\s?\w{1,6}|\s?[^\w\s]{1,3}|\s+")
_FORMATS: tuple[CallFormat, ...] = ("xml", "json", "python_call")
_NAMES: tuple[SignalName, ...] = ("reply", "choice", "least_value", "mean_value", "backed", "covered", "fits", "unrepaired")
CHAINS = {"backing chain": ("all@2", "fit@2", "strict"), "plain chain": ("all@2",)}


@dataclass(frozen=True)
class Asked:
    """A reply and what it answers."""

    content: ReplyContent
    tools: Sequence[ToolDefinition]
    messages: Sequence[Message]


def confidence_model(chain: Sequence[str]) -> ConfidenceModel:
    """A model that reads every signal that differs between replies."""
    names = [name for name in _NAMES if name != "backed" or "strict" not in chain]
    terms = tuple(SignalTerm(signal=name, low=-4.0, high=1.0, weight=1.0, unknown=0.5) for name in names)
    return ConfidenceModel(calls=ConfidenceTerms(intercept=-2.0, terms=terms), text=ConfidenceTerms(intercept=-1.0, terms=terms))


def observed(text: str, chance: random.Random) -> LogProbs:
    """Made-up log probabilities of a text, with five of the likeliest tokens at each place."""
    tokens = _TOKEN.findall(text)
    values = tuple(round(-(chance.random() ** 6), 5) for _ in tokens)
    tops = tuple((token, "{", "To", "I", "```") for token in tokens)
    return LogProbs(
        tokens=tuple(tokens),
        logprobs=values,
        top_tokens=tops,
        top_logprobs=tuple((value, -5.0, -6.0, -7.0, -8.0) for value in values),
    )


def written(calls: Sequence[ToolCall]) -> Iterator[str]:
    """The calls in three formats; an answer where there is none."""
    for form in _FORMATS:
        yield write_calls(calls, form) if calls else "I can't do that with these tools. Please tell me more of what you need."


def replies() -> list[Asked]:
    """What is looked at."""
    chance, found = random.Random(17), []
    for suite in map(load_suite, list_suites()):
        for prompt in suite.prompts:
            calls = () if prompt.expected == "any" else right_calls(prompt.expected[0])
            named = {call.name for call in calls}
            offered = sorted(suite.tools_of(prompt), key=lambda tool: tool.name not in named)[:TOOLS]
            for text in written(calls):
                found.append(Asked(ReplyContent(text=text, logprobs=observed(text, chance)), offered, prompt.messages))
    chance.shuffle(found)
    return found


def measure(chain: tuple[str, ...], asked: Sequence[Asked], count: int) -> dict[str, float | int | bool]:
    """Microseconds for signals and confidence."""
    model, spent, sizes = confidence_model(chain), [], []
    wanted = model.signals
    for number in range(count):
        one = asked[number % len(asked)]
        parsed = read_calls(chain, one.content, one.tools, one.messages)
        started = time.process_time_ns()
        model.confidence(signals_of(one.content, parsed, one.tools, one.messages, wanted=wanted))
        spent.append((time.process_time_ns() - started) / 1000)
        sizes.append(len(one.content.logprobs or ()))
    p50 = statistics.median(spent)
    return {
        "replies": count,
        "median_tokens": statistics.median(sizes),
        "p50_us": round(p50, 1),
        "p95_us": round(statistics.quantiles(spent, n=20)[-1], 1),
        "within_target": p50 <= TARGET_US,
    }


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replies", type=int, default=3000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    asked = replies()
    figures = {name: measure(chain, asked, options.replies) for name, chain in CHAINS.items()}
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        for name, one in figures.items():
            print(
                f"{name}: p50 {one['p50_us']} us, p95 {one['p95_us']} us over {one['replies']} replies of {one['median_tokens']} tokens"
                f" at the median; target p50 <= {TARGET_US} us: {'met' if one['within_target'] else 'missed'}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
