"""`suites add-from-ledger`: turns failed trials into prompts for review."""

from __future__ import annotations

import json
from collections.abc import Container, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any

from selfopt.errors import SuiteError, UsageError
from selfopt.home import InputFileError, atomic_write_text, guarded, read_input, readable_json
from selfopt.ledger import resolve
from selfopt.measure.show import ShownTrial, show_trial
from selfopt.records import Outcome, Prompt, Suite, ToolDefinition, Trial, Verdict, canonical_json
from selfopt.suites import (
    SUFFIXES,
    extended_json,
    extended_yaml,
    find_suite_file,
    parse_suite,
    prompt_data,
    suite_yaml,
    tool_data,
    tools_from,
)
from selfopt.suites.importers.chat import message_data
from selfopt.wiring.app import App
from selfopt.wiring.evidence import require_ledger

MAX_BYTES = 32_000_000


@dataclass(frozen=True, slots=True)
class AddedPrompts:
    """The suite's file, whether it is new, and the id of the prompt that each trial became."""

    path: Path
    created: bool
    prompts: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Failed:
    """A failed trial as a prompt, with the tools it offered. Its tool set and split come later."""

    trial_id: str
    suite: Suite
    prompt: Prompt
    tools: tuple[ToolDefinition, ...]


def add_from_ledger(app: App, trials: Sequence[str], to: str, suite: str | None = None) -> AddedPrompts:
    """Add the prompts of failed trials to a suite's file, all or none.

    A prompt expects what the trial's suite expects. If that suite is missing, it expects what the
    model called. Its reason begins with "review:" either way. YAML keeps its comments and layout.

    Args:
        trials: beginnings of trial ids.
        to: a path, or the name of one of the home's suites.
        suite: the trials' suite, if the settings do not name its file.

    Raises:
        SuiteError: a trial passed, its prompt is there already, or the file would become
            unusable. The file then stays as it was.
        UsageError: a trial's phase or judging differs from the file's.
    """
    require_ledger(app)
    if suite is not None:
        app.suite(suite)
    failed = [_failed(app, prefix) for prefix in trials]
    path = _path_of(app, to)
    with guarded(app.home.root / "suites.lock", what="the suites' lock"):
        old = _read(path)
        text, added = _extended(old, failed, path) if old is not None else _fresh(failed, path)
        parse_suite(text, source=str(path), as_json=path.suffix == ".json")
        mode = path.stat().st_mode & 0o777 if old is not None else 0o644
        atomic_write_text(path, text, mode=mode, replace=old is not None)
    return AddedPrompts(path, old is None, added)


def _path_of(app: App, to: str) -> Path:
    path = find_suite_file(to, app.home.suites) or Path(to)
    if path.suffix not in SUFFIXES:
        raise SuiteError(
            f"{to}: neither a suite of the home nor a file of {', '.join(SUFFIXES)}; name one, or a .yaml file to begin"
        )
    return path.resolve()


def _read(path: Path) -> str | None:
    if not path.exists():
        return None
    try:
        return read_input(path, MAX_BYTES)
    except InputFileError as error:
        raise SuiteError(f"{path}: {error}") from None


def _failed(app: App, prefix: str) -> _Failed:
    trial = resolve(app.ledger, Trial, prefix)
    shown = show_trial(app.ledger, trial.trial_id)
    verdict = _verdict_of(shown)
    try:
        suite = app.suite_for(shown.spec)
    except SuiteError:
        suite = None
    known = None
    if suite is not None and suite.content_id() == shown.spec.suite_hash:
        known = next((p for p in suite.prompts if p.id == trial.prompt_id), None)
    what = f"{verdict.outcome.value} by {shown.run.model} with {shown.spec.variant.name}"
    if suite is not None and known is not None:
        reason = f"review: {what}; {known.reason}".removesuffix("; ")
        prompt = known.model_copy(update={"reason": reason, "split": "search"})
        return _Failed(trial.trial_id, suite, prompt, suite.tools_of(known))
    return _from_request(shown, verdict, f"review: {what}; expected is what was called, correct it")


def _verdict_of(shown: ShownTrial) -> Verdict:
    trial_id = shown.trial.trial_id
    mine = [v for v in shown.verdicts if v.parser_hash == shown.spec.variant.parser_hash] or list(shown.verdicts)
    if not mine:
        raise SuiteError(f"trial {trial_id} has no verdict; judge it first: selfopt rescore {shown.run.run_id}")
    if mine[-1].outcome is Outcome.PASS:
        raise SuiteError(f"trial {trial_id} passed; only failed ones become prompts for review, leave it out")
    return mine[-1]


def _from_request(shown: ShownTrial, verdict: Verdict, reason: str) -> _Failed:
    """Make a prompt from the request that was sent, if it has messages and tools as OpenAI's do."""
    trial_id = shown.trial.trial_id
    body = next((a.request for e in shown.exchanges for a in e.attempts if a.request), None)
    try:
        sent: Any = json.loads(body or "")
    except (ValueError, RecursionError):
        sent = None
    if not isinstance(sent, dict) or not isinstance(sent.get("messages"), list) or not isinstance(sent.get("tools"), list):
        raise SuiteError(
            f"trial {trial_id}: its suite {shown.spec.suite} was not found and its request does not name the tools; give --suite FILE"
        )
    tools = tools_from(sent["tools"], f"trial {trial_id}")
    offered = {tool.name for tool in tools}
    expected = [
        {"name": call.name, "arguments": {name: [value] for name, value in call.arguments.items()}}
        for call in verdict.parsed.tool_calls
        if call.name in offered
    ]
    prompt = {
        "id": shown.trial.prompt_id,
        "kind": "failed",
        "reason": reason,
        "tool_set": "tools",
        "messages": [message_data(m, f"trial {trial_id}: messages[{i}]") for i, m in enumerate(sent["messages"])],
        "expected": [expected],
    }
    suite = Suite.model_validate(
        {
            "name": shown.spec.suite,
            "phase": shown.spec.phase,
            "tool_sets": {"tools": list(map(tool_data, tools))},
            "prompts": [prompt],
        }
    )
    return _Failed(trial_id, suite, suite.prompts[0], tools)


def _asked(prompt: Prompt, tools: tuple[ToolDefinition, ...]) -> str:
    return canonical_json([[m.model_dump(mode="json") for m in prompt.messages], [tool_data(tool) for tool in tools]])


def _fresh(failed: Sequence[_Failed], path: Path) -> tuple[str, dict[str, str]]:
    first = failed[0].suite
    empty = Suite(
        name=path.stem, title="Failed trials, for review", phase=first.phase, judging=first.judging, tool_sets={}, prompts=()
    )
    new_sets, prompts, added = _placed(empty, failed)
    suite = empty.model_copy(update={"tool_sets": new_sets, "prompts": tuple(prompts)})
    if path.suffix == ".json":
        return readable_json(suite.model_dump(mode="json", exclude_defaults=True), indent=1) + "\n", added
    return suite_yaml(suite), added


def _extended(old: str, failed: Sequence[_Failed], path: Path) -> tuple[str, dict[str, str]]:
    as_json = path.suffix == ".json"
    new_sets, prompts, added = _placed(parse_suite(old, source=str(path), as_json=as_json), failed)
    extend = extended_json if as_json else extended_yaml
    sets = {name: [tool_data(tool) for tool in tools] for name, tools in new_sets.items()}
    return extend(old, sets, [prompt_data(prompt) for prompt in prompts], str(path)), added


def _placed(
    suite: Suite, failed: Sequence[_Failed]
) -> tuple[dict[str, tuple[ToolDefinition, ...]], list[Prompt], dict[str, str]]:
    """Return new tool sets, new prompts with free ids, and the prompt id of each trial."""
    there = {_asked(p, suite.tools_of(p)): p.id for p in suite.prompts}
    sets = dict(suite.tool_sets)
    ids = {p.id for p in suite.prompts}
    prompts: list[Prompt] = []
    added: dict[str, str] = {}
    for item in failed:
        if (item.suite.phase, item.suite.judging) != (suite.phase, suite.judging):
            raise UsageError(
                f"trial {item.trial_id} is of phase {item.suite.phase}, judged {item.suite.judging}; suite {suite.name} is of phase "
                f"{suite.phase}, judged {suite.judging}: name another file"
            )
        asked = _asked(item.prompt, item.tools)
        if asked in there:
            raise SuiteError(f"trial {item.trial_id} asks what prompt {there[asked]} asks already; leave it out")
        tool_set = next((name for name, tools in sets.items() if tools == item.tools), None)
        if tool_set is None:
            tool_set = _free(item.prompt.tool_set, sets)
            sets[tool_set] = item.tools
        splits = {p.split for p in (*suite.prompts, *prompts) if p.tool_set == tool_set}
        split = next(iter(splits)) if len(splits) == 1 else "search"
        prompt = item.prompt.model_copy(update={"id": _free(item.prompt.id, ids), "tool_set": tool_set, "split": split})
        ids.add(prompt.id)
        there[asked] = added[item.trial_id] = prompt.id
        prompts.append(prompt)
    return {name: tools for name, tools in sets.items() if name not in suite.tool_sets}, prompts, added


def _free(wanted: str, taken: Container[str]) -> str:
    return next(name for name in chain([wanted], (f"{wanted}-{n}" for n in count(2))) if name not in taken)
