"""Makes the suite of prompts for a user's own tools: written, checked, solved, split and stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from selfopt.authoring.checks import Checker, without_assumed
from selfopt.authoring.drafts import Draft, UsableTools, sets_of
from selfopt.authoring.quotas import Drops, quotas_of
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
    problems_of,
    prompt_of,
)
from selfopt.authoring.template import BY_TEMPLATE, template_drafts, template_pairs
from selfopt.errors import SelfoptError
from selfopt.home import counted
from selfopt.reading import read_calls
from selfopt.records import DropReason, Message, Outcome, ReplyContent, Suite, SyntheticPrompts, ToolDefinition
from selfopt.scoring import scorer_of
from selfopt.suites import load_suite
from selfopt.suites.load import find_suite_file
from selfopt.variants import render
from selfopt.variants.space import composed
from selfopt.words.tuning import dropped_text, no_prompts_text, too_few_text

from .soliciting import Solicitor
from .writing import Writing

MAX_ROUNDS = 6
_CALL_TOKENS, _SILENT_TOKENS = 256, 96  # a solver's reply; where no call is right, its beginning tells whether one comes
Way = Literal["native", "text"]
# What a solver makes up beside what is asked says nothing about the prompt: only what the request says is believed.
_BELIEVED = {"fit": "yes", "backing": "strict"}
_POINTS: dict[Way, dict[str, str]] = {"native": _BELIEVED, "text": {**_BELIEVED, "tools": "signatures"}}


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
    drops: Drops = field(default_factory=Drops)

    async def made(self, name: str, title: str) -> Suite:
        """Write, check and solve the prompts, and make the suite of those that are left.

        Raises:
            SelfoptError: too few prompts are left. EndpointError, BudgetError: see `Solicitor.ask`.
        """
        self.sets = sets_of(self.usable.tools)
        kept = await self._by_template() if self.authors.writer is None else await self._by_model(self.authors.writer)
        dropped = dropped_of(self.drops.total)
        if len(kept) < 2 * MIN_EACH:
            missing = 2 * MIN_EACH - len(kept)
            raise SelfoptError(too_few_text(len(kept), missing, dropped) if kept else no_prompts_text(dropped))
        head = SyntheticPrompts(by=self.authors.by, solvers=self.authors.agreeing, dropped=dropped)
        return made_suite(name, title, self.sets, kept, head)

    async def _by_template(self) -> list[OfferedDraft]:
        """What the template writes, of each kind as much as is wanted and somewhat more, and the solvers agree with."""
        checker = self._checker()
        written: list[Draft] = []
        for quota in quotas_of(self.sets, self.wanted):
            group = self.sets[quota.group]
            if quota.kind == "two at once":
                drafts = template_pairs(group)
            else:
                drafts = (draft for draft in template_drafts(quota.tools[0]) if draft.kind == quota.kind)
            new: list[Draft] = []
            for draft in drafts:
                if len(new) < quota.most:
                    new += self._checked(checker, draft, group)
            written += new
        return await self._solved(list(self._offers(written, written)), "")

    async def _by_model(self, writer: str) -> list[OfferedDraft]:
        """What the writer writes and the solvers agree with, round by round, until there is enough or nothing new comes."""
        writing = Writing(writer, self.sets, quotas_of(self.sets, self.wanted), self.solicitor, self._checker(), self.drops)
        await writing.values()
        written: list[Draft] = []
        kept: list[OfferedDraft] = []
        for number in range(1, MAX_ROUNDS + 1):
            if len(kept) >= self.wanted or not writing.goes_on():
                break
            new = await writing.round(number)
            written += new
            left = await self._solved(list(self._offers(new, written)), f"round {number}, ")
            writing.settle([one.draft for one in left])
            kept += left
            self.solicitor.show(f"  round {number}: {counted(len(kept), 'prompt')} of {self.wanted} wanted")
        return kept

    def _checker(self) -> Checker:
        return Checker({tool.name: tool for tool in self.usable.tools})

    def _checked(self, checker: Checker, draft: Draft, group: Sequence[ToolDefinition]) -> list[Draft]:
        found = checker.checked(draft, group)
        if isinstance(found, Draft):
            if not problems_of(found, group):
                return [found]
            found = "bad_arguments"
        self.drops.add(draft.tool, found)
        return []

    def _offers(self, drafts: Sequence[Draft], written: Sequence[Draft]) -> Iterator[OfferedDraft]:
        """What each draft's prompt offers. Some requests are asked where their tool is not there.

        written: all drafts so far, by which it is chosen.
        """
        groups = {tool.name: place for place, group in enumerate(self.sets) for tool in group}
        alone: set[str] = set()
        for tool in self.usable.tools:
            alone |= not_offered([d for d in written if d.tool == tool.name], len(self.sets[groups[tool.name]]))
        for draft in drafts:
            group = groups[draft.tool]
            if draft.family in alone and draft.kind in ("direct", "paraphrase"):
                yield OfferedDraft(Draft("tool not offered", draft.text, (), draft.tool, draft.family), group, draft.tool)
            else:
                yield OfferedDraft(draft, group)

    async def _solved(self, offers: list[OfferedDraft], when: str) -> list[OfferedDraft]:
        """Those whose expectation every solver meets."""
        for model, way in self.authors.solvers:
            # What offers the same tools begins alike: a server reads the beginning once.
            offers = sorted(offers, key=lambda one: (one.group, one.without))
            parsers = composed(_POINTS[way]).parsers
            asked = []
            for one in offers:
                variant = composed(_POINTS[way], max_tokens=_CALL_TOKENS if one.draft.calls else _SILENT_TOKENS)
                step = next(render(variant, (Message(role="user", content=one.draft.text),), self._tools(one)))
                shape = {"tools": step.tools, "tool_choice": step.tool_choice, "constraint": step.constraint}
                asked.append(self.solicitor.question("solve", step.messages, step.sampling, **shape))
            replies = await self.solicitor.ask(model, "solve", asked, f"{when}prompts solved by {model} ({way})")
            left = []
            for one, reply in zip(offers, replies, strict=True):
                reason = self._disagrees(one, reply, parsers)
                if reason is None:
                    left.append(one)
                else:
                    self.drops.add(one.draft.tool, reason)
            offers = left
        return offers

    def _disagrees(self, one: OfferedDraft, reply: ReplyContent | None, parsers: Sequence[str]) -> DropReason | None:
        if reply is None:
            return "unanswered"
        tools = self._tools(one)
        prompt = prompt_of(one.draft)
        parsed = read_calls(parsers, reply, tools, prompt.messages)
        believed = tuple(without_assumed(call, one.draft.text, {tool.name: tool for tool in tools}) for call in parsed.tool_calls)
        parsed = parsed.model_copy(update={"tool_calls": believed})
        outcome = scorer_of("standard").judge(prompt, tools, parsed, None).outcome
        cut = not one.draft.calls and reply.finish_reason == "length"
        begins_call = cut and (bool(reply.broken_tool_calls) or any(mark in reply.text for mark in "{[<"))
        return None if outcome is Outcome.PASS and not begins_call else "solvers_disagree"

    def _tools(self, one: OfferedDraft) -> tuple[ToolDefinition, ...]:
        return offer_of(self.sets[one.group], one.without)


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
