"""A model's calls reach the client, and a client's earlier calls reach the model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selfopt.reading import chain_of
from selfopt.reading.families import write_calls
from selfopt.records import Rule, ToolCall, Variant
from selfopt.routing import rule_id_of
from selfopt.variants import load_variants
from tests.examples import LONG, some_of

from .kit import World, chat, gateway_world
from .servers import SSE_HEAD, chunk, raw_upstream, whole
from .test_harness_streaming import DONE, entry, events_of, joined

T = TypeVar("T")
VARIANTS = load_variants()
FORMATS = {
    f"{tools} {call_format}": Variant.model_validate({"name": "own", "tools": tools, "call_format": call_format, "parsers": [call_format]})
    for tools in ("native", "system_prompt")
    for call_format in ("json", "xml", "bracket", "python_call")
}  # fmt: skip

Call = tuple[str, dict[str, Any]]
Scene = tuple[list[dict[str, Any]], list[Call], list[Call]]
TEXT = st.text(max_size=15) | st.sampled_from(['"}', "</tool_call>", "none", "f(a=1)", "\\", "'", "```", "\n", "{", "]"])
TYPED: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXT,
    "integer": st.integers(-(10**12), 10**12),
    "number": st.integers(-1000, 1000).map(lambda n: n / 8),
    "boolean": st.booleans(),
    "array": st.lists(TEXT, max_size=3),
    "object": st.dictionaries(st.text("abc", min_size=1, max_size=3), TEXT, max_size=2),
}


def names(first: str) -> st.SearchStrategy[str]:
    """Names that OpenAI's API accepts. first: what they may begin with."""
    return st.from_regex(rf"\A[{first}][a-zA-Z0-9_-]{{0,12}}\Z")


@st.composite
def tool_definitions(draw: st.DrawFn, first: str) -> list[dict[str, Any]]:
    """Some tools with the types of their required arguments."""
    tools = []
    for name in draw(st.lists(names(first), min_size=1, max_size=4, unique=True)):
        kinds = draw(st.dictionaries(st.from_regex(r"\A[a-z_]{1,6}\Z"), st.sampled_from(sorted(TYPED)), max_size=3))
        properties = {key: {"type": kind} for key, kind in kinds.items()}
        schema = {"type": "object", "properties": properties, "required": list(kinds)}
        tools.append({"type": "function", "function": {"name": name, "description": "d", "parameters": schema}})
    return tools


@st.composite
def scenes(draw: st.DrawFn, first: str) -> Scene:
    """Tools, earlier calls, and calls of the model. first: what names of tools begin with."""
    tools = draw(tool_definitions(first))

    def call() -> Call:
        function = draw(st.sampled_from(tools))["function"]
        properties = function["parameters"]["properties"]
        return function["name"], {key: draw(TYPED[schema["type"]]) for key, schema in properties.items()}

    made: list[Call] = []
    for _ in range(draw(st.integers(1, 2))):
        new = call()
        if new not in made:  # the same call twice is one call that a small model could not stop writing
            made.append(new)
    return tools, [call() for _ in range(draw(st.integers(0, 2)))], made


def as_said(calls: Sequence[Call]) -> list[dict[str, Any]]:
    """Calls as OpenAI's API writes them."""
    return [
        {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        for number, (name, arguments) in enumerate(calls)
    ]


def heard(message: dict[str, Any]) -> list[Call]:
    """Calls of a message of OpenAI's API."""
    return [(c["function"]["name"], json.loads(c["function"]["arguments"])) for c in message.get("tool_calls") or ()]


class Model:
    """An upstream that says what it is told, and keeps what it was asked."""

    def __init__(self) -> None:
        self.says: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        said = self.says.pop(0) if self.says else {"content": "Just text."}
        finish = "tool_calls" if "tool_calls" in said else "stop"
        if json.loads(self.bodies[-1]).get("stream"):
            calls = [{"index": index, **call} for index, call in enumerate(said.get("tool_calls", ()))]
            deltas: Any = ({**said, **({"tool_calls": calls} if calls else {})}, None), ({}, finish)
            events = [{"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]} for delta, reason in deltas]
            pieces = [chunk(b"data: %s\n\n" % json.dumps(event).encode()) for event in events]
            writer.write(SSE_HEAD + b"".join(pieces) + DONE)
        else:
            message = {"role": "assistant", "content": None, **said}
            body = json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": finish}]}).encode()
            writer.write(whole(body, b"200 OK", b"Connection: close"))
        await writer.drain()


@asynccontextmanager
async def modelled(tmp_path: Path, variants: Sequence[Variant]) -> AsyncIterator[tuple[World, Model]]:
    """Run a gateway that serves raw/0, raw/1, ... through these variants."""
    model = Model()
    patient = {"breaker_faults": 10**9, "retries": 0}
    async with (
        raw_upstream(model.talk, model.bodies) as url,
        gateway_world(tmp_path, settings=entry(url), options=patient) as world,
    ):
        rules = [
            Rule(rule_id=rule_id_of(f"raw/{number}", phase), model=f"raw/{number}", phase=phase, allow=True, variant=variant)
            for number, variant in enumerate(variants)
            for phase in ("atomic", "extended")
        ]
        world.enforcer.apply(rules, event="test", reason="")
        await world.reload()
        yield world, model


async def holds_for_all(
    examples: st.SearchStrategy[T], check: Callable[[T], Coroutine[Any, Any, None]], most: int = 25 if LONG else 10
) -> None:
    """The check is a coroutine of this loop."""
    loop = asyncio.get_running_loop()

    @settings(max_examples=most, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
    @given(examples)
    def each(example: T) -> None:
        asyncio.run_coroutine_threadsafe(check(example), loop).result(60)

    await asyncio.to_thread(each)


def told_by(variant: Variant, calls: Sequence[Call]) -> list[dict[str, Any]]:
    """Return the replies of a model that makes these calls as the variant asks, by request."""
    if variant.steps == "choose_then_fill":
        return [{"content": ", ".join(name for name, _ in calls)}, *({"content": json.dumps(given)} for _, given in calls)]
    if variant.steps == "choose_then_answer":
        return [{"content": ", ".join(name for name, _ in calls)}, {"tool_calls": as_said(calls)}]
    native = variant.tools == "native" and not {"native", "native@2"}.isdisjoint(chain_of(variant.parsers).readers)
    return [{"tool_calls": as_said(calls)} if native else {"content": written(variant, calls)}]


def written(variant: Variant, calls: Sequence[Call]) -> str:
    """Calls as this variant writes them."""
    return write_calls([ToolCall(name=name, arguments=given) for name, given in calls], variant.call_format)


@pytest.mark.parametrize("name", [*VARIANTS, *FORMATS])
async def test_calls_come_back_as_the_model_made_them(tmp_path: Path, name: str) -> None:
    """Whole and streamed; earlier calls reach the model unchanged."""
    variant = {**VARIANTS, **FORMATS}[name]
    # Calls that nothing in the conversation backs are left out by these; that is tested where it is done.
    parsers = tuple(parser for parser in variant.parsers if parser != "ground@2")
    variant = variant.model_copy(update={"options": {**variant.options, "ground": False}, "parsers": parsers})
    plain = variant.call_format in ("bracket", "python_call")

    async with modelled(tmp_path, [variant]) as (world, model):

        async def check(scene: Scene) -> None:
            tools, earlier, made = scene
            talk: list[dict[str, Any]] = [{"role": "user", "content": "Do it."}]
            if earlier:
                talk.append({"role": "assistant", "content": None, "tool_calls": as_said(earlier)})
                talk += [{"role": "tool", "tool_call_id": f"call_{n}", "content": "Done."} for n in range(len(earlier))]
                talk.append({"role": "user", "content": "Go on."})
            for stream in (False, True):
                model.says, model.bodies[:] = told_by(variant, made), []
                answer = await world.post(chat("raw/0", messages=talk, tools=tools, stream=stream))
                assert answer.status == 200
                calls = joined(events_of(answer.text))[1] if stream else heard(answer.body["choices"][0]["message"])
                assert calls == made
                asked = json.loads(model.bodies[-1 if variant.steps == "choose_then_answer" else 0])["messages"]
                if variant.tools == "native" and variant.history == "native":
                    assert [call for message in asked for call in heard(message)] == earlier
                elif earlier:
                    assert any(written(variant, earlier) in message["content"] for message in asked)

        await holds_for_all(scenes("a-z" if plain else "a-zA-Z0-9_"), check)


JUNK: Any = st.sampled_from([None, True, 0, -1, 2**70, 0.5, "", "a", "\x00", [], [[]], [None], {}, {"a": {}}, {"": [1]}])
KEYWORDS = [
    *("type", "properties", "required", "enum", "const", "items", "anyOf", "oneOf", "allOf", "$ref", "$defs", "format"),
    *("pattern", "minimum", "maximum", "minLength", "maxItems", "additionalProperties", "description", "default"),
]
SCHEMAS: Any = st.recursive(
    JUNK | st.sampled_from(["string", "object", ["string", "null"], "#", "#/properties/a", "(["]),
    lambda inner: (
        st.dictionaries(st.sampled_from(KEYWORDS) | st.text(max_size=3), inner, max_size=5) | st.lists(inner, max_size=3)
    ),
    max_leaves=12,
)


def nearly(wanted: dict[str, Any]) -> Any:
    """Objects that are valid except for one field, which is missing or wrong."""
    return st.sampled_from(sorted(wanted)).flatmap(
        lambda broken: (JUNK | st.just(...)).map(
            lambda junk: {key: value for key, value in {**wanted, broken: junk}.items() if value is not ...}
        )
    )


FUNCTION: dict[str, Any] = {"name": "a", "description": "d", "parameters": {"type": "object", "properties": {}}}
TOOL: dict[str, Any] = {"type": "function", "function": FUNCTION}
SCHEMED = SCHEMAS.map(lambda schema: {**TOOL, "function": {**FUNCTION, "parameters": schema}})
BROKEN_TOOLS = nearly(TOOL) | nearly(FUNCTION).map(lambda function: {**TOOL, "function": function}) | SCHEMED
ARGUMENTS = st.sampled_from(
    ["", "{", "[]", "7", '{"a": NaN}', '{"a": 1e999}', '{"a": "\\ud800"}', "[" * 2000, "9" * 5000, '{"a": 1}']
)
CALL: dict[str, Any] = {"id": "1", "type": "function", "function": {"name": "a", "arguments": "{}"}}
BROKEN_CALLS = nearly(CALL) | (nearly(CALL["function"]) | ARGUMENTS.map(lambda text: {"name": "a", "arguments": text})).map(
    lambda function: {**CALL, "function": function}
)
TALK: dict[str, Any] = {"role": "assistant", "content": "x", "tool_calls": [CALL]}
RESULT: dict[str, Any] = {"role": "tool", "content": "x", "tool_call_id": "1", "name": "a"}
BROKEN_MESSAGES = (
    (nearly(TALK) | nearly(RESULT)).filter(lambda message: isinstance(message.get("role"), str))
    | BROKEN_CALLS.map(lambda call: {**TALK, "tool_calls": [call]})
    | nearly({"type": "text", "text": "x"}).map(lambda part: {"role": "user", "content": [part]})
    | st.sampled_from(["system", "developer", "function", "nobody"]).map(lambda role: {"role": role, "content": "x"})
)
SETTINGS: dict[str, Any] = {
    "tool_choice": {"type": "function", "function": {"name": "a"}},
    "parallel_tool_calls": False,
    "max_tokens": 5,
    "max_completion_tokens": 5,
    "temperature": 0.5,
    "top_p": 0.5,
    "seed": 1,
    "stream_options": {"include_usage": True},
}
GOOD: dict[str, Any] = {"messages": [{"role": "user", "content": "Do it."}], "tools": [TOOL]}
CHATS: Any = st.one_of(
    BROKEN_TOOLS.map(lambda tool: {**GOOD, "tools": [tool]}),
    BROKEN_MESSAGES.map(lambda message: {**GOOD, "messages": [message]}),
    (nearly(SETTINGS) | st.sampled_from([{"tool_choice": "none"}, {"tool_choice": "required"}])).map(
        lambda fields: GOOD | fields
    ),
).flatmap(lambda body: st.booleans().map(lambda stream: {**body, "stream": stream}))


@pytest.mark.parametrize("name", [*VARIANTS, *FORMATS])
async def test_no_chat_with_tools_breaks_the_harness(tmp_path: Path, name: str) -> None:
    """Broken input gets an answer, or an error that says what is wrong."""
    async with modelled(tmp_path, [{**VARIANTS, **FORMATS}[name]]) as (world, model):

        async def check(body: dict[str, Any]) -> None:
            model.bodies[:] = []
            answer = await world.post({"model": "raw/0", **body})
            assert answer.status in (200, 400), answer.text
            if answer.status == 400:
                assert answer.error["code"]
            assert all(json.loads(sent) for sent in model.bodies)

        await holds_for_all(CHATS, check, some_of(100))
