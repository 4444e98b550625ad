#!/usr/bin/env python3
"""Writes the outcomes that `perf/search.py --replay` searches: what stored replies of a real model are worth under many readings.

    python perf/search_replay_export.py HOME [--model local/qwen2.5-coder-0.5b] [--suite atomic-300] [--out FILE]
    python perf/search_replay_export.py          tells what the file holds that comes with this script

The replies are those of the searches in the home's ledger, which is copied and not changed. A world is made of the ways to ask that
were asked on as many prompts as `--least` says, and of the prompts on which all of them were asked; one of those asked on every prompt,
and one of those asked on a quarter of them. Each has about 60 points: its ways to ask, each with the same readings. The readings are
evenly spread: from one to the next, so many in the order of `readings_of` are passed over as the golden ratio says, so that every
choice of every part comes equally often. The first one changes nothing. The file holds no text of any prompt or reply: its digits say
whether a reply passed (1) and whether it called something (2).
"""

from __future__ import annotations

import argparse
import json
import re
import sqlite3
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from math import gcd
from pathlib import Path
from typing import Any

from search_parts.stored import REPLAY, read
from selfopt.ledger import open_ledger
from selfopt.measure.lookup import held
from selfopt.measure.observing import is_observed
from selfopt.measure.readings import read_by_each
from selfopt.records import Ledger, Run, SearchBatch, SearchStart, Spec, Suite, Trial, Verdict
from selfopt.search.archive import reading_text
from selfopt.suites import load_suite
from selfopt.variants.space import Point, composed, point_text, readings_of
from selfopt.variants.written import names_written

POINTS = 60
LEDGER = "ledger.sqlite3"
_GOLDEN = 0.618


def evenly(points: Sequence[Point], n: int) -> list[Point]:
    """So many of these, evenly spread, the first one first."""
    step = next(step for step in range(round(_GOLDEN * len(points)), 0, -1) if gcd(step, len(points)) == 1)
    return [points[place * step % len(points)] for place in range(min(n, len(points)))]


def asked(ledger: Ledger, model: str, suite: Suite) -> dict[str, dict[str, Trial]]:
    """The first trial of each prompt, by the text of the way to ask. Replies without log probabilities are passed over."""
    found: dict[str, dict[str, Trial]] = {}
    for start in ledger.read(SearchStart, {"model": model}):
        if start.suite_hash != suite.content_id():
            continue
        for batch in ledger.read(SearchBatch, {"search_id": start.search_id}):
            for trial_id in batch.trial_ids if not names_written(batch.asking) else ():
                trial = held(ledger, Trial, trial_id)
                if is_observed(trial):
                    found.setdefault(point_text(batch.asking), {}).setdefault(trial.prompt_id, trial)
    return found


def digits(ledger: Ledger, suite: Suite, trials: Sequence[Trial], readings: Sequence[Point]) -> dict[str, str]:
    """The outcome of each trial as each reading has it, by the reading's text."""
    chains = {reading_text(point): composed(point).parsers for point in readings}
    by_spec: dict[str, list[Trial]] = {}
    for trial in trials:
        by_spec.setdefault(held(ledger, Run, trial.run_id).spec_id, []).append(trial)
    found: dict[str, dict[str, str]] = {reading: {} for reading in chains}
    for spec_id, own in by_spec.items():
        for reading, verdicts in read_by_each(ledger, held(ledger, Spec, spec_id), suite, own, chains).items():
            found[reading] |= {verdict.trial_id: _digit(verdict) for verdict in verdicts}
    return {reading: "".join(by_id[trial.trial_id] for trial in trials) for reading, by_id in found.items()}


def _digit(verdict: Verdict) -> str:
    """As a search marks it: what was lost or cut held nothing back."""
    passed = verdict.outcome == "pass"
    return str(passed + 2 * (bool(verdict.parsed.tool_calls) or not (passed or verdict.needs_call)))


def worlds(ledger: Ledger, suite: Suite, by_way: Mapping[str, Mapping[str, Trial]]) -> Iterator[tuple[str, Any]]:
    """The worlds by name. One with fewer than two ways to ask is left out."""
    everything = suite.select("search")
    for name, least in (("deep", len(everything)), ("wide", len(everything) // 4)):
        chosen = {way: trials for way, trials in by_way.items() if len(trials) >= least}
        if len(chosen) < 2:
            continue
        prompts = [one for one in everything if all(one.id in trials for trials in chosen.values())]
        readings = evenly(list(readings_of({}, ("tools", "logprobs"))), POINTS // len(chosen))
        rows = [{"id": p.id, "kind": p.kind, "tool_set": p.tool_set or "", "needs_call": p.needs_call} for p in prompts]
        ways = {way: digits(ledger, suite, [trials[p.id] for p in prompts], readings) for way, trials in chosen.items()}
        yield name, {"prompts": rows, "ways": ways}


def told(kept: Any) -> str:
    """What a file holds, a line for each world."""
    lines = [f"{kept['model']}, {kept['suite']} ({kept['suite_hash']})"]
    for name, world in kept["worlds"].items():
        points = sum(len(found) for found in world["ways"].values())
        tool_sets = len({one["tool_set"] for one in world["prompts"]})
        lines.append(
            f"{name}: {len(world['ways'])} ways to ask, {points} points, {len(world['prompts'])} prompts of {tool_sets} tool sets"
        )
        lines.extend(f"  {way}" for way in world["ways"])
    return "\n".join(lines)


def exported(home: Path, model: str, name: str) -> Any:
    """The content of the file. The home is not changed."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / LEDGER
        source = sqlite3.connect(f"{(home / LEDGER).resolve().as_uri()}?mode=ro", uri=True)
        with closing(source), closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        ledger, suite = open_ledger(copy), load_suite(name)
        try:
            found = dict(worlds(ledger, suite, asked(ledger, model, suite)))
        finally:
            ledger.close()
    return {"model": model, "suite": name, "suite_hash": suite.content_id(), "worlds": found}


def main() -> int:
    """Write the file, or tell what it holds; exit code 1 where the home holds too little."""
    parser = argparse.ArgumentParser(description="the outcomes of stored replies, for perf/search.py --replay")
    parser.add_argument("home", nargs="?", type=Path, help="a home whose ledger holds searches; none: tell what the file holds")
    parser.add_argument("--model", default="local/qwen2.5-coder-0.5b")
    parser.add_argument("--suite", default="atomic-300")
    parser.add_argument("--out", type=Path, default=REPLAY)
    options = parser.parse_args()
    if options.home is None:
        print(told(read(options.out)))
        return 0
    there = (options.home / LEDGER).is_file()
    kept = exported(options.home, options.model, options.suite) if there else {"worlds": {}}
    if not kept["worlds"]:
        print(
            f"{options.home} holds no two ways to ask {options.model} the same prompts of {options.suite}; search there first",
            file=sys.stderr,
        )
        return 1
    text = json.dumps(kept, indent=1)
    text = re.sub(r'\{\s+("id"[^}]*?)\s+\}', lambda one: "{" + re.sub(r"\s*\n\s*", " ", one[1]) + "}", text)  # a line a prompt
    options.out.parent.mkdir(exist_ok=True)
    options.out.write_text(text + "\n", "utf-8")
    print(told(kept))
    return 0


if __name__ == "__main__":
    sys.exit(main())
