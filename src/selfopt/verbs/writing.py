"""Has a model write prompts for a user's own tools: one small question each, round by round."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from selfopt.authoring.asking import LIST_TOKENS, TEXT_TOKENS, again_messages, text_messages, values_messages
from selfopt.authoring.assignments import Assignment, assigned
from selfopt.authoring.checks import Checker, unsaid
from selfopt.authoring.drafts import Draft
from selfopt.authoring.facts import Texts, wordy_parts
from selfopt.authoring.quotas import Drops, Quota
from selfopt.authoring.shares import ToolSets, problems_of
from selfopt.authoring.written import text_in, values_in
from selfopt.measure.question import Question
from selfopt.records import DropReason, Message, ReplyContent, Sampling

from .soliciting import Solicitor

_IDLE_ROUNDS = 2
_MAX_WORDY = 4  # arguments of a tool for which a writer is asked for values
_WARMTH = 0.7


@dataclass(slots=True)
class Writing:
    """Has prompts written for as long as some come.

    Attributes:
        writer: full name of the model.
        quotas: how many there may be of each kind.
        checker: knows what was written before.
    """

    writer: str
    sets: ToolSets
    quotas: Sequence[Quota]
    solicitor: Solicitor
    checker: Checker
    drops: Drops
    _texts: dict[str, Texts] = field(default_factory=dict)
    _next: Counter[int] = field(default_factory=Counter)  # by the place of a quota: how many were asked for
    _left: Counter[int] = field(default_factory=Counter)
    _idle: Counter[int] = field(default_factory=Counter)
    _place_of: dict[str, int] = field(default_factory=dict)  # of each text

    async def values(self) -> None:
        """Ask for values of the arguments that hold free text. Plain words serve where no list comes.

        Raises:
            EndpointError, BudgetError: see `Solicitor.ask`.
        """
        tools = [tool for group in self.sets for tool in group]
        wordy = [(tool, name, told) for tool in tools for name, told in list(wordy_parts(tool).items())[:_MAX_WORDY]]
        questions = [self._question(values_messages(tool, name, told), 0, LIST_TOKENS) for tool, name, told in wordy]
        replies = await self.solicitor.ask(self.writer, "write", questions, "values for the arguments of the tools")
        for (tool, name, _), reply in zip(wordy, replies, strict=True):
            if reply is not None and (values := values_in(reply.text, tool, name)):
                self._texts[tool.name] = {**self._texts.get(tool.name, {}), name: values}

    async def round(self, number: int) -> list[Draft]:
        """The prompts of one round that pass the checks. `settle` says afterwards which of them are left.

        Raises:
            EndpointError, BudgetError: see `Solicitor.ask`.
        """
        todo = [(place, one) for place in range(len(self.quotas)) if self._is_open(place) for one in self._assigned(place)]
        # Requests begin alike, and so do remarks: a server reads the beginning once.
        todo.sort(key=lambda pair: pair[1].kind == "near miss")
        asked = [text_messages(one) for _, one in todo]
        questions = [self._question(messages, one.number) for messages, (_, one) in zip(asked, todo, strict=True)]
        replies = await self.solicitor.ask(self.writer, "write", questions, f"round {number}, messages written")
        kept: list[Draft] = []
        again: list[tuple[int, Assignment, Question]] = []
        for (place, one), messages, reply in zip(todo, asked, replies, strict=True):
            draft, reason = self._draft(one, reply)
            missing = unsaid(draft, self.checker.tools) if reason == "unsaid_argument" else {}
            if missing:
                again.append((place, one, self._question(again_messages(messages, draft.text, missing), one.number)))
            else:
                kept += self._kept(place, draft, reason)
        label = f"round {number}, messages written anew that did not say all"
        second = await self.solicitor.ask(self.writer, "write", [question for *_, question in again], label)
        for (place, one, _), reply in zip(again, second, strict=True):
            kept += self._kept(place, *self._draft(one, reply))
        return kept

    def settle(self, left: Sequence[Draft]) -> None:
        """Take note of which prompts of the last round are left."""
        new = Counter(self._place_of[draft.text] for draft in left)
        for place in range(len(self.quotas)):
            if self._is_open(place):
                self._idle[place] = 0 if new[place] else self._idle[place] + 1
        self._left.update(new)

    def goes_on(self) -> bool:
        """Whether another round may bring prompts."""
        return any(map(self._is_open, range(len(self.quotas))))

    def _is_open(self, place: int) -> bool:
        """Whether there may be more prompts of a quota, and such are likely to come."""
        return self._left[place] < self.quotas[place].most and self._idle[place] < _IDLE_ROUNDS

    def _assigned(self, place: int) -> list[Assignment]:
        quota = self.quotas[place]
        start = self._next[place]
        self._next[place] += quota.most - self._left[place]
        several = (assigned(quota.kind, quota.tools, number, self._texts) for number in range(start, self._next[place]))
        return [one for one in several if one is not None]

    def _draft(self, one: Assignment, reply: ReplyContent | None) -> tuple[Draft, DropReason | None]:
        """What a reply is, and why it is no prompt."""
        if reply is None:
            return one.draft(""), "unanswered"
        text, reason = text_in(reply.text)
        draft = one.draft(text)
        if reason is not None:
            return draft, reason
        group = next(tools for tools in self.sets if one.tools[0] in tools)
        found = self.checker.checked(draft, group)
        if not isinstance(found, Draft):
            return draft, found
        return (found, None) if not problems_of(found, group) else (found, "bad_arguments")

    def _kept(self, place: int, draft: Draft, reason: DropReason | None) -> list[Draft]:
        if reason is not None:
            self.drops.add(draft.tool, reason)
            return []
        self._place_of[draft.text] = place
        return [draft]

    def _question(self, messages: tuple[Message, ...], seed: int, tokens: int = TEXT_TOKENS) -> Question:
        return self.solicitor.question("write", messages, Sampling(max_tokens=tokens, temperature=_WARMTH, seed=seed))
