"""What a suite covers, what is wrong with it, and how each spec did on its prompts."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

from selfopt.errors import SuiteError, UsageError
from selfopt.measure.lookup import find
from selfopt.records import Evaluation, OutcomeRow, Phase, Prompt, Suite, ToolDefinition
from selfopt.suites import find_suite_file, list_suites, load_suite
from selfopt.wiring.app import App

from .measured import MeasuredFacts, every_measured
from .suites import SuiteCheck, checked

V = TypeVar("V")
PER_PAGE = 25
_SPECS = 30


@dataclass(frozen=True, slots=True)
class Spread:
    """How a number is spread over prompts."""

    least: int
    middle: float
    most: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """What the prompts of a suite cover.

    Attributes:
        calls: prompts that need a call. no_calls: those that need none.
        splits: prompts by split. kinds: by kind and split.
        tools: different tools. offered: how many a prompt offers. turns: messages of the user.
    """

    prompts: int
    calls: int
    no_calls: int
    splits: Mapping[str, int]
    kinds: Mapping[str, Mapping[str, int]]
    tool_sets: int
    tools: int
    offered: Spread
    turns: Spread


@dataclass(frozen=True, slots=True)
class SuiteOverview:
    """One suite in a list.

    Attributes:
        problem: why it cannot be used; the other facts are then empty.
        evaluations: how many measured it. newest: when the last one did.
    """

    name: str
    source: str
    problem: str = ""
    title: str = ""
    phase: Phase | None = None
    coverage: Coverage | None = None
    synthetic: bool = False
    evaluations: int = 0
    newest: str | None = None


@dataclass(frozen=True, slots=True)
class OpenedSuite:
    """One suite with a page of its prompts.

    Attributes:
        found: how many prompts the search finds. page: from 1. pages: at least 1.
        evaluations: how many measured this content of it.
    """

    suite: Suite
    coverage: Coverage
    prompts: tuple[Prompt, ...]
    found: int
    page: int
    pages: int
    evaluations: int


@dataclass(frozen=True, slots=True)
class SpecRow:
    """How one spec did on a prompt, by its newest evaluation that saw it."""

    measured: MeasuredFacts
    row: OutcomeRow


@dataclass(frozen=True, slots=True)
class OpenedPrompt:
    """One prompt of a suite.

    Attributes:
        rows: the specs that were measured on this content of the suite, the newest first.
        left_out: how many further specs are not looked at.
        before, after: the neighbouring prompts in the file.
    """

    suite: Suite
    prompt: Prompt
    tools: tuple[ToolDefinition, ...]
    rows: tuple[SpecRow, ...]
    left_out: int
    before: str | None
    after: str | None


_LOCK = threading.Lock()
_READ: dict[tuple[str, int, int], Suite] = {}
_CHECKED: dict[tuple[str, int, int], SuiteCheck] = {}
_KEPT = 64


def known_suite(app: App, name: str) -> Suite:
    """A built-in suite or one of the home, read again only where its file has changed.

    Raises:
        UsageError: there is no suite of this name. Paths are not taken.
        SuiteError: it cannot be used.
    """
    key = _stamp(app, name)
    with _LOCK:
        found = _READ.get(key)
    if found is None:
        found = load_suite(name, app.home.suites)
        _keep(_READ, key, found)
    return found


def _stamp(app: App, name: str) -> tuple[str, int, int]:
    if name not in list_suites(app.home.suites):
        raise UsageError(f"no suite {name[:80]!r}; `selfopt suites list` lists them")
    path = find_suite_file(name, app.home.suites)
    if path is None:  # built in
        return name, 0, 0
    try:
        there = path.stat()
    except OSError as error:
        raise SuiteError(f"{path}: {error.strerror}") from None
    return str(path), there.st_mtime_ns, there.st_size


def _keep(kept: dict[tuple[str, int, int], V], key: tuple[str, int, int], value: V) -> None:
    with _LOCK:
        for other in [one for one in kept if one[0] == key[0]]:  # what the file was before
            del kept[other]
        if len(kept) >= _KEPT:
            del kept[next(iter(kept))]
        kept[key] = value


def known_check(app: App, name: str) -> SuiteCheck:
    """What `suites validate` says of a usable suite; worked out again only where its file has changed.

    Raises as `known_suite`.
    """
    key = _stamp(app, name)
    with _LOCK:
        found = _CHECKED.get(key)
    if found is None:
        found = checked(known_suite(app, name))
        _keep(_CHECKED, key, found)
    return found


def suite_overviews(app: App) -> tuple[SuiteOverview, ...]:
    """The built-in suites and the home's. One that cannot be used says why."""
    built_in = list_suites()
    measured: dict[str, list[MeasuredFacts]] = {}
    for one in every_measured(app):
        measured.setdefault(one.suite, []).append(one)
    rows = []
    for name in list_suites(app.home.suites):
        source = "built in" if name in built_in else "home"
        try:
            suite = known_suite(app, name)
        except SuiteError as error:
            rows.append(SuiteOverview(name, source, problem=str(error)))
            continue
        mine = measured.get(suite.name, [])
        rows.append(
            SuiteOverview(
                name=name,
                source=source,
                title=suite.title,
                phase=suite.phase,
                coverage=coverage_of(suite),
                synthetic=suite.synthetic is not None,
                evaluations=len(mine),
                newest=max((one.at for one in mine), default=None),
            )
        )
    return tuple(rows)


def coverage_of(suite: Suite) -> Coverage:
    """What the prompts of a suite cover."""
    kinds: dict[str, Counter[str]] = {}
    for prompt in suite.prompts:
        kinds.setdefault(prompt.kind, Counter())[prompt.split] += 1
    needing = sum(prompt.needs_call for prompt in suite.prompts)
    used = {prompt.tool_set for prompt in suite.prompts}
    return Coverage(
        prompts=len(suite.prompts),
        calls=needing,
        no_calls=len(suite.prompts) - needing,
        splits=Counter(prompt.split for prompt in suite.prompts),
        kinds=kinds,
        tool_sets=len(used),
        tools=len({tool.name for name in used for tool in suite.tool_sets[name]}),
        offered=_spread([len(suite.tools_of(prompt)) for prompt in suite.prompts]),
        turns=_spread([sum(message.role == "user" for message in prompt.messages) for prompt in suite.prompts]),
    )


def _spread(numbers: Sequence[int]) -> Spread:
    return Spread(min(numbers, default=0), median(numbers) if numbers else 0, max(numbers, default=0))


def open_suite(app: App, name: str, *, search: str = "", kind: str = "", split: str = "", page: int = 1) -> OpenedSuite:
    """One suite with a page of its prompts.

    Args:
        search: only prompts whose id, kind, messages or tools hold this text, in any case.
        kind, split: only prompts of this kind and split; "" for all.
        page: from 1; one too large shows the last.

    Raises:
        UsageError, SuiteError: as `known_suite`.
    """
    suite = known_suite(app, name)
    wanted = search.casefold().strip()
    found = [
        prompt
        for prompt in suite.prompts
        if kind in ("", prompt.kind) and split in ("", prompt.split) and (not wanted or wanted in _words_of(suite, prompt))
    ]
    pages = max(1, -(-len(found) // PER_PAGE))
    at = min(max(1, page), pages)
    measured = sum(one.suite_hash == suite.content_id() for one in every_measured(app))
    return OpenedSuite(
        suite, coverage_of(suite), tuple(found[(at - 1) * PER_PAGE : at * PER_PAGE]), len(found), at, pages, measured
    )


def _words_of(suite: Suite, prompt: Prompt) -> str:
    texts = (prompt.id, prompt.kind, *(message.content for message in prompt.messages), *(t.name for t in suite.tools_of(prompt)))
    return "\n".join(texts).casefold()


def open_prompt(app: App, name: str, prompt_id: str) -> OpenedPrompt:
    """One prompt and how each measured spec did on it.

    Raises:
        UsageError: there is no such suite or prompt.
        SuiteError: the suite cannot be used.
    """
    suite = known_suite(app, name)
    place = next((n for n, prompt in enumerate(suite.prompts) if prompt.id == prompt_id), None)
    if place is None:
        raise UsageError(f"suite {name} has no prompt {prompt_id[:80]!r}")
    prompt, content = suite.prompts[place], suite.content_id()
    newest: dict[str, MeasuredFacts] = {}
    for one in reversed(every_measured(app)):
        if one.suite_hash == content and one.split in ("all", prompt.split):
            newest.setdefault(one.spec_id, one)
    wanted = list(newest.values())[:_SPECS]
    rows = [(one, _row(app, one, prompt_id)) for one in wanted]
    return OpenedPrompt(
        suite=suite,
        prompt=prompt,
        tools=suite.tools_of(prompt),
        rows=tuple(SpecRow(one, row) for one, row in rows if row is not None),
        left_out=len(newest) - len(wanted),
        before=suite.prompts[place - 1].id if place else None,
        after=suite.prompts[place + 1].id if place + 1 < len(suite.prompts) else None,
    )


def _row(app: App, one: MeasuredFacts, prompt_id: str) -> OutcomeRow | None:
    evaluation = find(app.ledger, Evaluation, one.evaluation_id)
    return None if evaluation is None else next((row for row in evaluation.rows if row.prompt_id == prompt_id), None)
