"""Makes the suite of prompts for a user's own tools: written, checked, solved, split and stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Literal

from selfopt.authoring.asking import WRITER_TOKENS, pair_messages, tool_messages
from selfopt.authoring.checks import Checker, needed_of
from selfopt.authoring.drafts import Draft, DraftKind, UsableTools, sets_of
from selfopt.authoring.shares import (
    HELDOUT,
    MIN_EACH,
    OfferedDraft,
    ToolSets,
    counts_of,
    dropped_of,
    made_suite,
    not_offered,
    offer_of,
    prompt_of,
)
from selfopt.authoring.template import BY_TEMPLATE, template_drafts, template_pairs
from selfopt.authoring.written import pair_drafts, tool_drafts
from selfopt.errors import SelfoptError
from selfopt.measure.question import Question
from selfopt.reading import read_calls
from selfopt.records import DropReason, Message, Outcome, ReplyContent, Sampling, Suite, SyntheticPrompts, ToolDefinition
from selfopt.scoring import scorer_of
from selfopt.suites import load_suite
from selfopt.suites.check import validate_suite
from selfopt.suites.load import find_suite_file
from selfopt.variants import render
from selfopt.variants.space import composed
from selfopt.words.tuning import dropped_text, no_prompts_text, too_few_text

from .soliciting import Solicitor

MAX_ROUNDS = 6
_IDLE_ROUNDS = 2
_SPARE = 1.25  # so many times what is wanted is written: solvers drop some
_SHARES: dict[DraftKind, float] = {"direct": 0.55, "near miss": 0.25, "needed detail missing": 0.2}
_PAIRS = 0.1
_WARMTH = 0.7
Way = Literal["native", "text"]
_POINTS: dict[Way, dict[str, str]] = {"native": {}, "text": {"tools": "signatures"}}


@dataclass(frozen=True, slots=True)
class Authors:
    """Who writes the prompts and who has to agree.

    Attributes:
        writer: full name of a model; None: the template.
        solvers: full names of models, each with the way it is asked.
    """

    writer: str | None
    solvers: tuple[tuple[str, Way], ...]

    @property
    def by(self) -> str:
        """Who wrote, for the head of the suite."""
        return self.writer or BY_TEMPLATE

    @property
    def agreeing(self) -> tuple[str, ...]:
        """Who agreed, for the head of the suite."""
        return tuple(f"{model} ({way})" for model, way in self.solvers)


@dataclass(frozen=True, slots=True)
class TunedSuite:
    """The suite of prompts that was made for a user's own tools, or that was there already.

    Attributes:
        by, solvers: who wrote the prompts, and who agreed with what they expect.
        kinds: how many prompts there are of each kind.
        held_out: what the splits don't share.
        dropped: how much of what was written is none of them, by reason.
        without_prompts: the tools that no prompt could be made for, and why.
        missing_heldout: how many held-out prompts are missing for a decision about prompts like these.
    """

    name: str
    path: Path
    state: Literal["new", "unchanged"]
    by: str
    solvers: tuple[str, ...]
    prompts: int
    search: int
    heldout: int
    kinds: dict[str, int]
    held_out: Literal["tool_sets", "prompts"]
    dropped: dict[DropReason, int]
    without_prompts: dict[str, str]
    missing_heldout: int


@dataclass(slots=True)
class PromptMaker:
    """Makes one suite.

    Attributes:
        usable: the user's tools.
        wanted: how many prompts.
    """

    usable: UsableTools
    wanted: int
    authors: Authors
    solicitor: Solicitor
    sets: ToolSets = ()
    dropped: Counter[DropReason] = field(default_factory=Counter)
    why: dict[str, Counter[DropReason]] = field(default_factory=dict)

    async def made(self, name: str, title: str) -> Suite:
        """Write, check and solve the prompts, and make the suite of those that are left.

        Raises:
            SelfoptError: too few prompts are left. EndpointError, BudgetError: see `Solicitor.ask`.
        """
        self.sets = sets_of(self.usable.tools)
        written = await self._written()
        kept = await self._solved(list(self._offers(written)))
        if len(kept) < 2 * MIN_EACH:
            raise SelfoptError(
                no_prompts_text(self.dropped) if not kept else too_few_text(len(kept), 2 * MIN_EACH - len(kept), self.dropped)
            )
        head = SyntheticPrompts(by=self.authors.by, solvers=self.authors.agreeing, dropped=dropped_of(self.dropped))
        return made_suite(name, title, self.sets, kept, head)

    async def _written(self) -> list[Draft]:
        """Drafts of all tools, round by round, until each has enough or nothing new comes."""
        by_tool = {tool.name: tool for tool in self.usable.tools}
        checker = Checker(by_tool)
        kept: list[Draft] = []
        if self.authors.writer is None:
            for offered in self.sets:
                for tool in offered:
                    kept += self._fill(checker, tool, offered, template_drafts(tool), kept)
                kept += self._within(checker, offered, template_pairs(offered), self._pairs(offered))
            return kept
        idle = Counter[str]()
        for turn in range(MAX_ROUNDS):
            open_ = [
                (tool, group)
                for group in self.sets
                for tool in group
                if self._lacks(tool, kept) and idle[tool.name] < _IDLE_ROUNDS
            ]
            questions = [self._question(tool_messages(tool, self._texts(kept, tool.name)), turn) for tool, _ in open_]
            for (tool, group), reply in zip(open_, await self._ask_writer(questions, turn), strict=True):
                drafts, dropped = tool_drafts(reply.text, tool.name) if reply else ([], Counter[DropReason]({"unanswered": 1}))
                self._drop(tool.name, dropped)
                new = self._fill(checker, tool, group, drafts, kept)
                idle[tool.name] = 0 if new else idle[tool.name] + 1
                kept += new
        return kept + await self._pairs_written(checker)

    async def _pairs_written(self, checker: Checker) -> list[Draft]:
        groups = [group for group in self.sets if len(group) > 1]
        found: dict[int, list[Draft]] = {place: [] for place in range(len(groups))}
        idle = Counter[int]()
        for turn in range(MAX_ROUNDS):
            open_ = [n for n, group in enumerate(groups) if len(found[n]) < self._pairs(group) and idle[n] < _IDLE_ROUNDS]
            questions = [self._question(pair_messages(groups[n], [d.text for d in found[n]]), turn) for n in open_]
            for n, reply in zip(open_, await self._ask_writer(questions, turn), strict=True):
                drafts, dropped = pair_drafts(reply.text) if reply else ([], Counter[DropReason]({"unanswered": 1}))
                self.dropped.update(dropped)
                new = self._within(checker, groups[n], drafts, self._pairs(groups[n]) - len(found[n]))
                idle[n] = 0 if new else idle[n] + 1
                found[n] += new
        return [draft for drafts in found.values() for draft in drafts]

    async def _ask_writer(self, questions: Sequence[Question], turn: int) -> list[ReplyContent | None]:
        if not questions or self.authors.writer is None:
            return []
        return await self.solicitor.ask(self.authors.writer, "write", questions, f"prompts, round {turn + 1}")

    def _question(self, messages: tuple[Message, ...], turn: int) -> Question:
        sampling = Sampling(max_tokens=WRITER_TOKENS, temperature=_WARMTH, seed=turn)
        return self.solicitor.question("write", messages, sampling)

    def _quota(self, kind: DraftKind, tool: ToolDefinition) -> int:
        """How many drafts of a kind a tool may have. One that requires nothing has the more near misses."""
        share = _SHARES[_sort(kind)]
        if not needed_of(tool):
            share += {"near miss": 1, "needed detail missing": -1}.get(kind, 0) * _SHARES["needed detail missing"]
        return ceil(_SPARE * self.wanted * (1 - _PAIRS) * share / len(self.usable.tools))

    def _pairs(self, group: Sequence[ToolDefinition]) -> int:
        return ceil(_SPARE * self.wanted * _PAIRS * len(group) / len(self.usable.tools)) if len(group) > 1 else 0

    def _lacks(self, tool: ToolDefinition, kept: Sequence[Draft]) -> bool:
        has = Counter(_sort(d.kind) for d in kept if d.tool == tool.name)
        kinds: tuple[DraftKind, ...] = ("direct", "near miss")
        return any(has[kind] < self._quota(kind, tool) for kind in kinds)

    def _fill(
        self,
        checker: Checker,
        tool: ToolDefinition,
        group: Sequence[ToolDefinition],
        drafts: Iterable[Draft],
        kept: Sequence[Draft],
    ) -> list[Draft]:
        """The usable drafts of one tool, as many of each kind as it may have."""
        has = Counter(_sort(d.kind) for d in kept if d.tool == tool.name)
        new: list[Draft] = []
        for draft in drafts:
            sort = _sort(draft.kind)
            if has[sort] < self._quota(sort, tool):
                got = self._checked(checker, draft, group)
                has[sort] += len(got)
                new += got
        return new

    def _within(self, checker: Checker, group: Sequence[ToolDefinition], drafts: Iterable[Draft], most: int) -> list[Draft]:
        names, new = {tool.name for tool in group}, list[Draft]()
        for draft in drafts:
            if len(new) < most and {call.name for call in draft.calls} <= names:
                new += self._checked(checker, draft, group)
        return new

    def _checked(self, checker: Checker, draft: Draft, group: Sequence[ToolDefinition]) -> list[Draft]:
        found = checker.checked(draft, group)
        if isinstance(found, Draft):
            problems = validate_suite(_suite_of(found, group))
            if not problems:
                return [found]
            found = "bad_arguments"
        self._drop(draft.tool, Counter({found: 1}))
        return []

    def _drop(self, tool: str, dropped: Counter[DropReason]) -> None:
        self.dropped.update(dropped)
        self.why.setdefault(tool, Counter()).update(dropped)

    def _texts(self, kept: Sequence[Draft], tool: str) -> list[str]:
        return [draft.text for draft in kept if draft.tool == tool]

    def _offers(self, drafts: Sequence[Draft]) -> Iterable[OfferedDraft]:
        """What each draft's prompt offers. Some requests are asked where their tool is not there."""
        groups = {tool.name: place for place, group in enumerate(self.sets) for tool in group}
        alone: set[str] = set()
        for tool in self.usable.tools:
            alone |= not_offered([d for d in drafts if d.tool == tool.name], len(self.sets[groups[tool.name]]))
        for draft in drafts:
            group = groups[draft.tool]
            if draft.family in alone and draft.kind in ("direct", "paraphrase"):
                yield OfferedDraft(Draft("tool not offered", draft.text, (), draft.tool, draft.family), group, draft.tool)
            else:
                yield OfferedDraft(draft, group)

    async def _solved(self, offers: list[OfferedDraft]) -> list[OfferedDraft]:
        """Those whose expectation every solver meets."""
        for number, (model, way) in enumerate(self.authors.solvers, 1):
            variant = composed(_POINTS[way], max_tokens=256)
            asked = []
            for one in offers:
                step = next(render(variant, (Message(role="user", content=one.draft.text),), self._tools(one)))
                shape = {"tools": step.tools, "tool_choice": step.tool_choice, "constraint": step.constraint}
                asked.append(self.solicitor.question("solve", step.messages, step.sampling, **shape))
            replies = await self.solicitor.ask(model, "solve", asked, f"solver {number}")
            left = []
            for one, reply in zip(offers, replies, strict=True):
                reason = self._disagrees(one, reply, variant.parsers)
                if reason is None:
                    left.append(one)
                else:
                    self._drop(one.draft.tool, Counter({reason: 1}))
            offers = left
        return offers

    def _disagrees(self, one: OfferedDraft, reply: ReplyContent | None, parsers: Sequence[str]) -> DropReason | None:
        if reply is None:
            return "unanswered"
        tools = self._tools(one)
        prompt = prompt_of(one.draft)
        parsed = read_calls(parsers, reply, tools, prompt.messages)
        outcome = scorer_of("standard").judge(prompt, tools, parsed, None).outcome
        return None if outcome is Outcome.PASS else "solvers_disagree"

    def _tools(self, one: OfferedDraft) -> tuple[ToolDefinition, ...]:
        return offer_of(self.sets[one.group], one.without)


def _sort(kind: DraftKind) -> DraftKind:
    return "direct" if kind == "paraphrase" else kind


def _suite_of(draft: Draft, tools: Sequence[ToolDefinition]) -> Suite:
    """A suite of one prompt, to be checked."""
    return Suite(name="draft", phase="atomic", scope="whole", tool_sets={"t": tuple(tools)}, prompts=(prompt_of(draft),))


def without_prompts(suite: Suite, usable: UsableTools, why: Mapping[str, Counter[DropReason]]) -> dict[str, str]:
    """The tools that no prompt of the suite calls, each with why."""
    called = {call.name for p in suite.prompts if p.expected != "any" for calls in p.expected for call in calls}
    missing = {tool.name: dropped_text(why.get(tool.name, {})) for tool in usable.tools if tool.name not in called}
    return {**usable.left_out, **missing}


def stored_before(name: str, folder: Path) -> Suite | None:
    """The suite of this name, if the folder has it."""
    return load_suite(name, folder) if find_suite_file(name, folder) is not None else None


def told(suite: Suite, folder: Path, state: Literal["new", "unchanged"], without: dict[str, str]) -> TunedSuite:
    """What there is to say about a suite."""
    counts, head = counts_of(suite), suite.synthetic or SyntheticPrompts(by="")
    path = find_suite_file(suite.name, folder) or folder / f"{suite.name}.json"
    return TunedSuite(
        name=suite.name,
        path=path,
        state=state,
        by=head.by,
        solvers=head.solvers,
        prompts=len(suite.prompts),
        search=counts.get("search", 0),
        heldout=counts.get("heldout", 0),
        kinds=dict(Counter(prompt.kind for prompt in suite.prompts)),
        held_out=head.held_out,
        dropped=head.dropped,
        without_prompts=without,
        missing_heldout=max(0, HELDOUT - counts.get("heldout", 0)),
    )
