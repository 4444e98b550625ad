"""Generated servers: one reply, written whole and streamed with the habits of servers in the wild."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

__all__ = ["ANTHROPIC", "CUTS", "OLLAMA", "OPENAI", "OPENAI_BROKEN", "Call", "Habits", "Lines", "Reply", "Server", "cut"]


@dataclass(frozen=True, slots=True)
class Call:
    """A call. text: its arguments as they are written; they may be broken."""

    name: str
    text: str
    id: str | None = None

    @property
    def arguments(self) -> Any:
        """The arguments, as an object where they are one."""
        try:
            return json.loads(self.text)
        except ValueError:
            return self.text


@dataclass(frozen=True, slots=True)
class Reply:
    """What the model said."""

    text: str = ""
    thinking: str = ""
    refusal: str = ""
    calls: tuple[Call, ...] = ()
    finish: str = "stop"


@dataclass(frozen=True, slots=True)
class Habits:
    """How a server of OpenAI's dialect writes.

    Attributes:
        index: of a call in a stream: its own, none, or 0 for all.
        ids: of a call in a stream: its own, or a new one in every piece after the first.
        names: in the first piece of a call or in every one.
        split: how many characters of arguments a piece has; 0: all, with the name.
        objects: arguments that are an object are written as one.
        head: the name comes before the arguments.
        holder: `delta` or `message`.
        repeats: a last `message` says everything again.
        shape: of a list of calls: a list, an object by index, one object, or `function_call`.
        nulls: fields without a value are null.
        together: all calls begin in one piece.
        others: another choice comes first.
        case: of the finish reason.
    """

    index: str = "own"
    ids: str = "own"
    names: str = "first"
    split: int = 4
    objects: bool = False
    head: bool = True
    holder: str = "delta"
    repeats: bool = False
    shape: str = "list"
    nulls: bool = False
    together: bool = False
    others: bool = False
    case: str = "lower"


@dataclass(frozen=True, slots=True)
class Lines:
    """How a stream is written on the wire.

    Attributes:
        form: `events`, `json lines`, or `whole`: the whole answer in place of a stream.
        ends: line ends, used in turn.
        split: an event has its JSON on several lines.
    """

    form: str = "events"
    ends: tuple[str, ...] = ("\n",)
    space: bool = True
    split: bool = False
    bom: bool = False
    comments: bool = False
    fields: bool = False
    gaps: bool = True
    last_gap: bool = True
    done: str = "[DONE]"

    def write(self, pieces: Iterator[Any], whole: Any) -> bytes:
        """Write a stream."""
        if self.form == "whole":
            body = json.dumps(whole, ensure_ascii=False, indent=1 if self.split else None)
            return (("\ufeff" if self.bom else "") + self._joined(body.split("\n"))).encode("utf-8", "surrogatepass")
        values = list(pieces)
        if self.form == "json lines":
            return self._joined([json.dumps(value, ensure_ascii=False) for value in values]).encode("utf-8", "surrogatepass")
        lines = [": hello", ""] if self.comments else []
        said = [json.dumps(value, ensure_ascii=False, indent=2 if self.split else None) for value in values]
        for number, text in enumerate([*said, *([self.done] if self.done else [])]):
            lines += ["event: message", f"id: {number}", "retry: 10", "x-unknown: 1"] if self.fields else []
            lines += [f"data:{' ' if self.space else ''}{line}" for line in text.split("\n")]
            lines += [": keep-alive"] if self.comments else []
            # Without gaps, an event has to end with its line.
            lines += [""] if self.gaps or self.split else []
        if not self.last_gap:
            while lines and not lines[-1]:
                lines.pop()
        return (("\ufeff" if self.bom else "") + self._joined(lines)).encode("utf-8", "surrogatepass")

    def _joined(self, lines: list[str]) -> str:
        text = ""
        for at, line in enumerate(lines):
            end = self.ends[at % len(self.ends)]
            # LF behind CR would end the line before it, and no empty one.
            text += line + ("\r" if not line and end == "\n" and text.endswith("\r") else end)
        return text


@dataclass(frozen=True, slots=True)
class Server:
    """A reply and how it is written."""

    reply: Reply
    habits: Habits = field(default_factory=Habits)
    lines: Lines = field(default_factory=Lines)
    dialect: str = "openai_chat"

    def whole(self) -> dict[str, Any]:
        """The answer in one piece."""
        return {"openai_chat": self._openai, "ollama": self._ollama, "anthropic": self._anthropic}[self.dialect]()

    def stream(self) -> bytes:
        """The answer as a stream."""
        pieces = {"openai_chat": self._deltas, "ollama": self._ollama_lines, "anthropic": self._anthropic_events}[self.dialect]()
        return self.lines.write(pieces, self.whole())

    # OpenAI

    def _call(self, call: Call) -> dict[str, Any]:
        arguments = call.arguments if self.habits.objects else call.text
        return {
            **({"id": call.id} if call.id else {}),
            "type": "function",
            "function": {"name": call.name, "arguments": arguments},
        }

    def _message(self) -> dict[str, Any]:
        reply = self.reply
        message: dict[str, Any] = {"role": "assistant", "content": reply.text or None}
        if reply.thinking:
            message["reasoning_content"] = reply.thinking
        if reply.refusal:
            message["refusal"] = reply.refusal
        return message | self._shaped([self._call(call) for call in reply.calls])

    def _shaped(self, calls: list[dict[str, Any]], at: int = 0) -> dict[str, Any]:
        shape = self.habits.shape
        if shape == "function_call" and len(self.reply.calls) == 1 and calls:
            return {"function_call": calls[0]["function"], **({"tool_calls": None} if self.habits.nulls else {})}
        if shape == "by index" and calls and self.habits.index == "own":
            return {"tool_calls": {str(call.get("index", at + n)): call for n, call in enumerate(calls)}}
        if shape == "one" and len(calls) == 1:
            return {"tool_calls": calls[0]}
        return {"tool_calls": calls} if calls else {"tool_calls": None} if self.habits.nulls else {}

    def _finish(self) -> str:
        reason = "tool_calls" if self.reply.calls and self.reply.finish == "stop" else self.reply.finish
        return {"upper": reason.upper(), "title": reason.title(), "lower": reason}[self.habits.case]

    def _choices(self, holder: str, said: Any, reason: str | None = None) -> list[dict[str, Any]]:
        other = {"index": 1, holder: {"role": "assistant", "content": "another choice"}, "finish_reason": reason}
        own = {"index": 0, holder: said, "finish_reason": reason}
        return [other, own] if self.habits.others else [own]

    def _openai(self) -> dict[str, Any]:
        usage = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
        return {"id": "x", "model": "m", "choices": self._choices("message", self._message(), self._finish()), "usage": usage}

    def _deltas(self) -> Iterator[dict[str, Any]]:
        habits, reply, empty = self.habits, self.reply, {}
        if habits.nulls:
            empty = {"content": None, "tool_calls": None, "function_call": None, "reasoning_content": None, "refusal": None}

        def chunk(said: dict[str, Any] | None, reason: str | None = None, **more: Any) -> dict[str, Any]:
            filled = said if said is None else {**empty, **said}
            return {"id": "x", "model": "m", "choices": self._choices(habits.holder, filled, reason), **more}

        yield chunk(None if habits.nulls else {"role": "assistant"})
        for name, text in (("reasoning_content", reply.thinking), ("content", reply.text), ("refusal", reply.refusal)):
            yield from (chunk({name: piece}) for piece in in_pieces(text, habits.split))
        for calls in self._call_pieces():
            yield chunk(self._shaped(calls))
        last = chunk({}, self._finish())
        if habits.repeats:
            choice = last["choices"][-1]
            choice["message"] = self._message()
        yield last
        yield {"id": "x", "choices": [], "usage": self._openai()["usage"]}

    def _call_pieces(self) -> Iterator[list[dict[str, Any]]]:
        habits = self.habits
        written = [list(self._pieces_of(number, call)) for number, call in enumerate(self.reply.calls)]
        if habits.together and written:
            yield [pieces[0] for pieces in written]
            for number, pieces in enumerate(written):
                yield from ([{**piece, **({"index": number} if habits.index == "own" else {})}] for piece in pieces[1:])
        else:
            yield from ([piece] for pieces in written for piece in pieces)

    def _pieces_of(self, number: int, call: Call) -> Iterator[dict[str, Any]]:
        habits = self.habits
        at = {"own": {"index": number}, "none": {}, "same": {"index": 0}}[habits.index]
        identity = {"id": call.id} if call.id else {}
        name, whole = {"name": call.name}, call.arguments
        if habits.objects and isinstance(whole, dict):
            yield {**at, **identity, "type": "function", "function": {**name, "arguments": whole}}
            return
        texts = in_pieces(call.text, habits.split)
        texts = texts if not habits.head else ["", *texts]
        yield {**at, **identity, "type": "function", "function": {**name, "arguments": (texts or [""])[0]}}
        for place, text in enumerate(texts[1:]):
            again = {"id": f"fresh-{number}-{place}"} if habits.ids == "fresh" and identity else {}
            again = identity if habits.names == "every" else again
            yield {**at, **again, "function": {**(name if habits.names == "every" else {}), "arguments": text}}

    # Ollama

    def _ollama_call(self, call: Call) -> dict[str, Any]:
        return {"function": {"name": call.name, "arguments": call.arguments if self.habits.objects else call.text}}

    def _ollama(self) -> dict[str, Any]:
        calls = [self._ollama_call(call) for call in self.reply.calls]
        message = {"role": "assistant", "content": self.reply.text, "thinking": self.reply.thinking, "tool_calls": calls}
        return {**self._ollama_end(), "message": message}

    def _ollama_end(self) -> dict[str, Any]:
        return {"model": "m", "done": True, "done_reason": self.reply.finish, "prompt_eval_count": 5, "eval_count": 7}

    def _ollama_lines(self) -> Iterator[dict[str, Any]]:
        def line(**message: Any) -> dict[str, Any]:
            return {"model": "m", "message": {"role": "assistant", "content": "", **message}, "done": False}

        yield from (line(thinking=piece) for piece in in_pieces(self.reply.thinking, self.habits.split))
        yield from (line(content=piece) for piece in in_pieces(self.reply.text, self.habits.split))
        calls = [self._ollama_call(call) for call in self.reply.calls]
        yield from ([line(tool_calls=calls)] if self.habits.together and calls else [line(tool_calls=[call]) for call in calls])
        again = self._ollama()["message"] if self.habits.repeats else {"role": "assistant", "content": ""}
        yield {**self._ollama_end(), "message": again}

    # Anthropic

    def _blocks(self) -> list[dict[str, Any]]:
        reply = self.reply
        blocks: list[dict[str, Any]] = [{"type": "thinking", "thinking": reply.thinking}] if reply.thinking else []
        blocks += [{"type": "text", "text": reply.text}] if reply.text else []
        return blocks + [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments} for call in reply.calls]

    def _anthropic(self) -> dict[str, Any]:
        reason = "max_tokens" if self.reply.finish == "length" else "tool_use" if self.reply.calls else "end_turn"
        usage = {"input_tokens": 5, "output_tokens": 7}
        return {"type": "message", "model": "m", "content": self._blocks(), "stop_reason": reason, "usage": usage}

    def _anthropic_events(self) -> Iterator[dict[str, Any]]:
        habits, whole = self.habits, self._anthropic()
        yield {
            "type": "message_start",
            "message": {"model": "m", "content": [], "usage": {"input_tokens": 5, "output_tokens": 0}},
        }
        for number, block in enumerate(self._blocks()):
            at = {"own": {"index": number}, "none": {}, "same": {"index": 0}}[habits.index]
            kind = block["type"]
            key, delta, field_ = {
                "text": ("text", "text_delta", "text"),
                "thinking": ("thinking", "thinking_delta", "thinking"),
                "tool_use": ("input", "input_json_delta", "partial_json"),
            }[kind]
            if kind == "tool_use" and habits.objects:
                yield {"type": "content_block_start", **at, "content_block": block}
            else:
                text = json.dumps(block[key], ensure_ascii=False) if kind == "tool_use" else block[key]
                empty: Any = {} if kind == "tool_use" else ""
                yield {"type": "content_block_start", **at, "content_block": {**block, key: empty}}
                for piece in in_pieces(text, habits.split):
                    yield {"type": "content_block_delta", **at, "delta": {"type": delta, field_: piece}}
            yield {"type": "content_block_stop", **at}
        yield {"type": "message_delta", "delta": {"stop_reason": whole["stop_reason"]}, "usage": {"output_tokens": 7}}
        yield {"type": "message_stop"}


def in_pieces(text: str, size: int) -> list[str]:
    """Cut a text into pieces of this size; 0: one piece."""
    return [text[at : at + size] for at in range(0, len(text), size)] if size else [text] if text else []


def cut(data: bytes, cuts: tuple[int, ...]) -> list[bytes]:
    """Cut bytes at these places."""
    places = [0, *sorted({place % (len(data) + 1) for place in cuts}), len(data)]
    return [data[a:b] for a, b in pairwise(places) if a < b]


CUTS = st.lists(st.integers(0, 5000), max_size=12).map(tuple)
_NAMES = st.sampled_from(["get_weather", "play", "get", "launch"])
_VALUES = st.text('ab "\\{}[]é🎉\n,:', max_size=6) | st.integers(-9, 9) | st.booleans() | st.none()
_ARGUMENTS = st.dictionaries(
    st.sampled_from(["city", "q", "x{y"]), st.recursive(_VALUES, lambda v: st.lists(v, max_size=2)), max_size=3
)
_OBJECTS = st.builds(lambda value, ascii_: json.dumps(value, ensure_ascii=ascii_), _ARGUMENTS, st.booleans())
_TEXTS = st.text("ab é🎉\n.,!\u2028\u0085", max_size=30)


@st.composite
def _replies(draw: st.DrawFn, *, broken: bool = False) -> Reply:
    refusal = draw(st.sampled_from(["", "", "", "I can't help."]))
    texts = _OBJECTS | st.sampled_from(["{broken", '{"city": "Oslo",}', "'", "city is Oslo"]) if broken else _OBJECTS
    names = draw(st.lists(_NAMES, max_size=3)) if not refusal else []
    with_ids = draw(st.booleans())
    calls = tuple(Call(name, draw(texts), f"c{number}" if with_ids else None) for number, name in enumerate(names))
    return Reply("" if refusal else draw(_TEXTS), draw(_TEXTS), refusal, calls, draw(st.sampled_from(["stop", "length"])))


_LINES = st.builds(
    Lines,
    form=st.sampled_from(["events", "events", "events", "json lines", "whole"]),
    ends=st.lists(st.sampled_from(["\n", "\r\n", "\r"]), min_size=1, max_size=3).map(tuple),
    space=st.booleans(),
    split=st.booleans(),
    bom=st.booleans(),
    comments=st.booleans(),
    fields=st.booleans(),
    gaps=st.booleans(),
    last_gap=st.booleans(),
    done=st.sampled_from(["[DONE]", "[done]", ""]),
)


@st.composite
def _habits(draw: st.DrawFn, reply: Reply) -> Habits:
    """Habits in which the reply can be told at all."""
    return Habits(
        index=draw(st.sampled_from(["own", "none", "same"])),
        ids=draw(st.sampled_from(["own", "fresh"])),
        names=draw(st.sampled_from(["first", "every"])),
        split=draw(st.sampled_from([0, 1, 3, 50])),
        objects=draw(st.booleans()),
        head=draw(st.booleans()),
        holder=draw(st.sampled_from(["delta", "delta", "message"])),
        repeats=draw(st.booleans()),
        shape=draw(st.sampled_from(["list", "list", "by index", "one", "function_call"])),
        nulls=draw(st.booleans()),
        together=draw(st.booleans()),
        others=draw(st.booleans()),
        case=draw(st.sampled_from(["lower", "upper", "title"])),
    )


def _told(server: Server) -> bool:
    """Whether anybody could put this together: pieces of several calls without an index or ids must not be mixed."""
    habits, calls = server.habits, server.reply.calls
    if server.dialect == "ollama" and habits.objects and any(not isinstance(call.arguments, dict) for call in calls):
        return False
    mixed = habits.together and len(calls) > 1 and habits.index != "own"
    return not mixed or (habits.split == 0 and not habits.head)


def _servers(dialect: str, *, broken: bool = False) -> st.SearchStrategy[Server]:
    return (
        _replies(broken=broken)
        .flatmap(lambda reply: st.builds(Server, st.just(reply), _habits(reply), _LINES, st.just(dialect)))
        .filter(_told)
    )


OPENAI, OPENAI_BROKEN = _servers("openai_chat"), _servers("openai_chat", broken=True)
OLLAMA, ANTHROPIC = _servers("ollama"), _servers("anthropic")
