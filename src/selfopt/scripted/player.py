"""Plays a script: tracks which model is loaded, chooses the next reply, and records requests."""

from __future__ import annotations

import asyncio
import re
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from selfopt.reading.families import family_of_template
from selfopt.reading.thinking_marks import thinks_by_template
from selfopt.records import Constraint, Message, ModelStatus, sha256_hex

from .script import Script, ScriptedFault, ScriptedMatch, ScriptedModel, ScriptedReply, ScriptedRule

JOURNAL_LIMIT = 20_000
State = Literal["loaded", "loading", "unloaded"]


class Clock(Protocol):
    """Tells the time in monotonic seconds, and waits."""

    def now(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class RealClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        """Seconds since an arbitrary moment."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait. Can be cancelled."""
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class ScriptedChat:
    """A chat request, independent of its dialect.

    Attributes:
        model: the model's name in the script.
        dialect: how the request was made; recorded in the journal.
        messages: the conversation.
        tool_names: the tools offered natively.
        constraint: the limit on the output, if any.
        keep_alive_s: seconds for which the model stays loaded afterwards. -1 keeps it loaded
            forever; None leaves it to the script.
        load_only: the request loads the model and generates nothing.
        body: the body received, for the journal.
    """

    model: str
    dialect: str
    messages: tuple[Message, ...] = ()
    tool_names: tuple[str, ...] = ()
    constraint: Constraint | None = None
    keep_alive_s: float | None = None
    load_only: bool = False
    body: dict[str, Any] | None = None

    def last_user(self) -> str:
        """The text of the last user message; "" when there is none."""
        return next((m.content for m in reversed(self.messages) if m.role == "user"), "")

    def conversation(self) -> str:
        """A text that is equal for two requests if and only if they ask the same."""
        kind = self.constraint.kind if self.constraint is not None else "none"
        return "\n".join([*(f"{m.role}: {m.content}" for m in self.messages), *self.tool_names, kind])


@dataclass(slots=True)
class JournalEntry:
    """A request that the engine received. Its outcome is `open` until the request ends."""

    number: int
    at_s: float
    dialect: str
    model: str
    last_user: str
    tool_names: tuple[str, ...]
    load_only: bool = False
    state_before: State = "unloaded"
    outcome: Literal["open", "answered", "refused", "aborted", "fault", "unknown_model"] = "open"
    load_wait_ms: float = 0.0
    body: dict[str, Any] | None = None


@dataclass(slots=True)
class Turn:
    """A request under way. It is refused when its model is loading and the script says `refuse`."""

    chat: ScriptedChat
    entry: JournalEntry
    reply: ScriptedReply
    fault: ScriptedFault | None
    arrived_s: float
    waits_for_load: bool
    refused: bool
    latency_s: float


@dataclass(slots=True)
class _ModelState:
    load_started_s: float | None = None
    loaded: bool = False
    last_used_s: float = 0.0
    keep_alive_s: float | None = None
    waiting: int = 0
    aborts: int = 0
    chats: int = 0
    loads: int = 0
    served: dict[int, int] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class ScriptEngine:
    """Plays a script. One instance acts as one server: all clients share its state."""

    def __init__(self, script: Script, clock: Clock | None = None) -> None:
        self.script = script
        self.clock: Clock = clock or RealClock()
        self.journal: deque[JournalEntry] = deque(maxlen=JOURNAL_LIMIT)
        self._count = 0
        self._states = {
            name: _ModelState(loaded=m.initially_loaded, last_used_s=self.clock.now()) for name, m in script.models.items()
        }

    # residency

    def state(self, model: str) -> State:
        """The model's state now. Raises KeyError for a model that the script does not define."""
        spec, state = self.script.models[model], self._states[model]
        now = self.clock.now()
        if not state.loaded and state.load_started_s is not None:
            end_s = state.load_started_s + spec.load_ms / 1000
            if now >= end_s if spec.load_after_aborts is None else state.aborts >= spec.load_after_aborts:
                self._set_loaded(state, max(state.last_used_s, end_s))
        if state.loaded:
            keep = spec.idle_unload_s if state.keep_alive_s is None else state.keep_alive_s
            if keep is not None and keep >= 0 and state.waiting == 0 and now - state.last_used_s >= keep:
                self._set_unloaded(state)
        return "loaded" if state.loaded else "unloaded" if state.load_started_s is None else "loading"

    def status(self, model: str) -> ModelStatus:
        """The status that a server would report. It is "unknown" for an undefined model."""
        spec = self.script.models.get(model)
        if spec is None:
            return ModelStatus(state="unknown", engine=self.script.engine)
        return ModelStatus(
            state=self.state(model),
            digest=spec.digest,
            quantization=spec.quantization,
            template_hash=sha256_hex(spec.template) if spec.template else "unknown",
            family=family_of_template(spec.template) or "unknown",
            engine=self.script.engine,
            slots=self.script.slots,
            context_size=spec.context_size,
            thinking=thinks_by_template(spec.template),
            logprobs=any(reply.logprob is not None for reply in (*spec.replies, spec.default)),
        )

    def unload(self, model: str) -> bool:
        """Unload a model, even while it loads. False if it is undefined or cannot be unloaded."""
        spec = self.script.models.get(model)
        if spec is None or not spec.can_unload:
            return False
        self._set_unloaded(self._states[model])
        return True

    def loads(self, model: str) -> int:
        """How many loads of this model have begun."""
        return self._states[model].loads

    @staticmethod
    def _set_loaded(state: _ModelState, at_s: float) -> None:
        state.loaded, state.last_used_s = True, at_s
        state.changed.set()

    @staticmethod
    def _set_unloaded(state: _ModelState) -> None:
        state.loaded, state.load_started_s, state.aborts, state.keep_alive_s = False, None, 0, None
        state.changed.set()

    # requests

    def arrive(self, chat: ScriptedChat) -> Turn:
        """Record a request, start a load if one is needed, and choose the reply.

        Raises:
            KeyError: the script does not define the model.
        """
        entry = JournalEntry(
            self._count,
            self.clock.now(),
            chat.dialect,
            chat.model,
            chat.last_user(),
            chat.tool_names,
            chat.load_only,
            body=chat.body,
        )
        self._count += 1
        self.journal.append(entry)
        if chat.model not in self.script.models:
            entry.outcome = "unknown_model"
            raise KeyError(chat.model)
        spec, state = self.script.models[chat.model], self._states[chat.model]
        entry.state_before = self.state(chat.model)
        if entry.state_before == "unloaded":
            state.load_started_s, state.aborts = self.clock.now(), 0
            state.loads += 1
            if spec.load_ms == 0 and spec.load_after_aborts is None:
                self._set_loaded(state, self.clock.now())
        if chat.keep_alive_s is not None and spec.can_unload:
            state.keep_alive_s = chat.keep_alive_s
        concerned = chat.load_only or not spec.cold_affects or _found(spec.cold_affects, entry.last_user)
        cold = concerned and not state.loaded
        refused = cold and spec.while_loading == "refuse" and not chat.load_only
        reply, fault = (ScriptedReply(), None) if chat.load_only or refused else self._choose(spec, state, chat)
        if refused:
            entry.outcome = "refused"
        else:
            state.waiting += 1
        latency_s = 0.0 if chat.load_only else (spec.latency_ms + reply.latency_ms) / 1000
        return Turn(chat, entry, reply, fault, self.clock.now(), cold, refused, latency_s)

    async def wait(self, ticket: Turn, limit_s: float | None = None) -> bool:
        """Wait for the load and for the reply's latency. Cancelling aborts the request.

        Args:
            ticket: the request.
            limit_s: seconds after its arrival at which the request is aborted; None for no limit.

        Returns:
            Whether the reply is ready. False when the limit came first.
        """
        deadline = None if limit_s is None else ticket.arrived_s + limit_s
        done = False
        try:
            done = await self._serve(ticket, deadline)
        finally:
            self._leave(ticket, done)
        return done

    async def _serve(self, ticket: Turn, deadline: float | None) -> bool:
        if not (await self._wait_loaded(ticket, deadline) and await self._sleep(ticket.latency_s, deadline)):
            return False
        hangs = ticket.fault is not None and ticket.fault.kind == "hang"
        return not hangs or await self._sleep(float("inf"), deadline)

    async def _wait_loaded(self, ticket: Turn, deadline: float | None) -> bool:
        if not ticket.waits_for_load:
            return True
        model, state, spec = ticket.chat.model, self._states[ticket.chat.model], self.script.models[ticket.chat.model]
        while self.state(model) != "loaded":
            now = self.clock.now()
            begun = ticket.arrived_s if spec.load_after_aborts is not None else state.load_started_s
            if begun is None:  # somebody unloaded it during the load: this request starts it again
                begun = state.load_started_s = ticket.arrived_s = now
                state.loads += 1
            left = begun + spec.load_ms / 1000 - now
            if left <= 0:
                self._set_loaded(state, now)
                break
            if deadline is not None and now >= deadline:
                return False
            await self._sleep_or_change(state, left if deadline is None else min(left, deadline - now))
        ticket.entry.load_wait_ms = (self.clock.now() - ticket.arrived_s) * 1000
        return True

    async def _sleep_or_change(self, state: _ModelState, seconds: float) -> None:
        state.changed.clear()
        sleeping = asyncio.ensure_future(self.clock.sleep(seconds))
        changing = asyncio.ensure_future(state.changed.wait())
        try:
            await asyncio.wait({sleeping, changing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            changing.cancel()

    async def _sleep(self, seconds: float, deadline: float | None) -> bool:
        if deadline is None and seconds == float("inf"):
            await asyncio.Event().wait()
        left = seconds if deadline is None else min(seconds, max(0.0, deadline - self.clock.now()))
        if left > 0:
            await self.clock.sleep(left)
        return left == seconds

    def _leave(self, ticket: Turn, done: bool) -> None:
        spec, state = self.script.models[ticket.chat.model], self._states[ticket.chat.model]
        state.waiting -= 1
        if done:
            state.last_used_s = self.clock.now()
            ticket.entry.outcome = "answered" if ticket.fault is None else "fault"
            return
        ticket.entry.outcome = "aborted"
        if state.loaded or not ticket.waits_for_load:
            return
        state.aborts += 1
        if spec.load_after_aborts is not None:
            if state.aborts >= spec.load_after_aborts:
                self._set_loaded(state, self.clock.now())
        elif spec.abort_cancels_load and state.waiting == 0:
            self._set_unloaded(state)

    # replies

    def _choose(self, spec: ScriptedModel, state: _ModelState, chat: ScriptedChat) -> tuple[ScriptedReply, ScriptedFault | None]:
        position = state.chats
        state.chats += 1
        time = self._asked(state, chat)
        for index, rule in enumerate(spec.replies):
            if self._matches(rule.match, chat, position) and _drawn(rule.match.chance, index, time):
                served = state.served.get(index, 0)
                state.served[index] = served + 1
                reply = _nth(rule, served)
                return reply, _still_due(reply.fault, served)
        served = state.served.get(-1, 0)
        state.served[-1] = served + 1
        return spec.default, _still_due(spec.default.fault, served)

    def recall(self, chat: ScriptedChat) -> None:
        """Count a chat of an earlier process, so that the draws continue after it."""
        self._asked(self._states[chat.model], chat)

    @staticmethod
    def _asked(state: _ModelState, chat: ScriptedChat) -> str:
        """Count this conversation. Returns it with the number of times it has been asked."""
        conversation = chat.conversation()
        state.asked[conversation] += 1
        return f"{state.asked[conversation]} {chat.model} {conversation}"

    def _matches(self, match: ScriptedMatch, chat: ScriptedChat, position: int) -> bool:
        last = chat.last_user().casefold()
        constraint = "none" if chat.constraint is None else chat.constraint.kind
        system = "\n".join(m.content for m in chat.messages if m.role == "system").casefold()
        everything = "\n".join(m.content for m in chat.messages).casefold()
        return (
            all(text.casefold() in last for text in match.contains)
            and (match.regex is None or _found((match.regex,), chat.last_user()))
            and (match.kind is None or _found(self.script.kinds[match.kind], chat.last_user()))
            and all(text.casefold() in system for text in match.system_contains)
            and all(text.casefold() in everything for text in match.conversation_contains)
            and (match.tools is None or match.tools == bool(chat.tool_names))
            and (
                match.after_tool_result is None
                or match.after_tool_result == bool(chat.messages and chat.messages[-1].role == "tool")
            )
            and (match.constraint is None or match.constraint == constraint)
            and (match.positions is None or position in match.positions)
        )


def _drawn(chance: float | None, index: int, time: str) -> bool:
    """Draw with this chance. The result depends only on the conversation and its count."""
    return chance is None or int(sha256_hex(f"{index} {time}")[:13], 16) / 16**13 < chance


def _found(patterns: tuple[str, ...], text: str) -> bool:
    return any(re.search(pattern, text, re.IGNORECASE) for pattern in patterns)


def _nth(rule: ScriptedRule, served: int) -> ScriptedReply:
    if not rule.sequence:
        return rule
    last = len(rule.sequence) - 1
    return rule.sequence[served % (last + 1) if rule.then == "cycle" else min(served, last)]


def _still_due(fault: ScriptedFault | None, served: int) -> ScriptedFault | None:
    return None if fault is None or (fault.times is not None and served >= fault.times) else fault
