"""Calls that no marks of a family enclose."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.reading.readers.base import CALL_LIMIT, Found
from selfopt.reading.readers.unmarked import READER
from selfopt.records import ReplyContent, ToolDefinition, canonical_json
from tests.examples import some_of

STRING = {"type": "string"}


def tool(name: str, properties: dict[str, Any], required: tuple[str, ...] = ()) -> ToolDefinition:
    """A tool with these properties."""
    return ToolDefinition(name=name, parameters={"type": "object", "properties": properties, "required": list(required)})


TOOLS = (
    tool("city_weather", {"city": STRING}, ("city",)),
    tool("set_timer", {"minutes": {"type": "number"}, "label": STRING}, ("minutes",)),
    tool("write_note", {"text": STRING}, ("text",)),
    tool("list_alarms", {}),
    tool("mail", {"from": STRING, "class": STRING}),
    tool("plan_trip", {"stops": {"type": "array", "items": STRING}}),
    tool("math.gcd", {"a": {"type": "integer"}, "b": {"type": "integer"}}, ("a", "b")),
    tool("search", {"query": STRING, "limit": {"type": "integer"}}, ("query",)),
    tool("Get Forecast", {"city": STRING}),
)
Calls = list[tuple[str, dict[str, Any]]]
GRAZ, BERN = ("city_weather", {"city": "Graz"}), ("city_weather", {"city": "Bern"})
FIVE, TEA = ("set_timer", {"minutes": 5}), ("set_timer", {"minutes": 5, "label": "tea"})
ALARMS: tuple[str, dict[str, Any]] = ("list_alarms", {})
J = '{"name": "city_weather", "arguments": {"city": "Graz"}}'
K = '{"name": "city_weather", "arguments": {"city": "Bern"}}'


def found(text: str) -> Found:
    """What the reader finds in a text."""
    reply = ReplyContent.model_construct(text=text, thinking="", tool_calls=(), broken_tool_calls=(), finish_reason="unknown")
    return READER.read(reply, TOOLS)


def calls(text: str) -> Calls:
    """Names and arguments of the calls in a text."""
    return [(call.name, call.arguments) for call in found(text).calls]


def note(text: str) -> Calls:
    """One call that writes this text."""
    return [("write_note", {"text": text})]


OBJECTS: list[tuple[str, Calls]] = [
    (f"Sure, I'll check.\n\n```json\n{J}\n```\n\nThis calls the tool.", [GRAZ]),
    (f"```json\n[{J}, {K}]\n```", [GRAZ, BERN]),
    (f"```json\n{J}\n{K}\n```", [GRAZ, BERN]),
    (f"```json\n{J}\n```\nand\n```json\n{K}\n```", [GRAZ, BERN]),
    (f"Here:\n```json\n{J}", [GRAZ]),
    (f"```json\n{J}```", [GRAZ]),
    (f"```json {J}```", [GRAZ]),
    (f"Action: ```json\n{J}\n```", [GRAZ]),
    (f"~~~json\n{J}\n~~~", [GRAZ]),
    (f"```python\n{J}\n```", [GRAZ]),
    (f"```xml\n{J}\n```", [GRAZ]),
    (f"```json\n// the call\n{J}\n```", [GRAZ]),
    (f"```json\n{J[:-1]}\n```", [GRAZ]),
    (f"```json\n{J[:-2]}\n```\nDone.", [GRAZ]),
    (f"{J}}}}}", [GRAZ]),
    (f"{J};", [GRAZ]),
    (f"{J} This gets the weather.", [GRAZ]),
    (f"I will call {J}", [GRAZ]),
    (f"I will call {J} Please wait.", [GRAZ]),
    (f"tool_calls = [{J}]", [GRAZ]),
    (f"Output: {J}", [GRAZ]),
    (f"Assistant: {J}", [GRAZ]),
    (f"`{J}`", [GRAZ]),
    (f"'{J}'", [GRAZ]),
    (json.dumps(J), [GRAZ]),
    (f"<json>{J}</json>", [GRAZ]),
    (f"<answer>{J}</answer>", [GRAZ]),
    (f"\ufeff{J}", [GRAZ]),
    (J.replace(", ", ",\r\n "), [GRAZ]),
    (J.replace('"', "“"), [GRAZ]),
    (f"{J}\ncity_weather(city='Bern')", [GRAZ, BERN]),
    ('[{"city_weather": {"city": "Graz"}}, {"set_timer": {"minutes": 5}}]', [GRAZ, FIVE]),
    ('{"name": "write_note", "arguments": {"text": "a\n```python\nx = {1: 2}\n```\nend"}}', note("a\n```python\nx = {1: 2}\n```\nend")),
    (json.dumps({"name": "write_note", "arguments": {"text": f"city_weather(city='Graz')\n{J}"}}), note(f"city_weather(city='Graz')\n{J}")),
]  # fmt: skip

PROGRAMS: list[tuple[str, Calls]] = [
    ("city_weather(city='Graz')\ncity_weather(city='Bern')", [GRAZ, BERN]),
    ("city_weather(city='Graz'); city_weather(city='Bern')", [GRAZ, BERN]),
    ("city_weather(city='Graz') city_weather(city='Bern')", [GRAZ, BERN]),
    ("- city_weather(city='Graz')\n- city_weather(city='Bern')", [GRAZ, BERN]),
    ("1. city_weather(city='Graz')\n2) city_weather(city='Bern')", [GRAZ, BERN]),
    ("`city_weather(city='Graz')`", [GRAZ]),
    ("**city_weather(city='Graz')**", [GRAZ]),
    ("> city_weather(city='Graz')", [GRAZ]),
    ("<code>city_weather(city='Graz')</code>", [GRAZ]),
    ("<code>\ncity_weather(city='Graz')\n</code>", [GRAZ]),
    ("city_weather(city='Graz')\n\nI tell you then.", [GRAZ]),
    ("city_weather(city='Graz')  # in Austria", [GRAZ]),
    ("print(city_weather(city='Graz'))", [GRAZ]),
    ("result = await city_weather(city='Graz')", [GRAZ]),
    ("```python\nprint(city_weather(city='Graz'))\n```", [GRAZ]),
    ("```python\nresult = city_weather(city='Graz')\nprint(result)\n```", [GRAZ]),
    ("```python\nw = city_weather(city='Graz')\nprint(f\"Weather: {w}\")\n```", [GRAZ]),
    ("```python\nw = city_weather(city='Graz')\nw\n```", [GRAZ]),
    ("```python\n# the weather\ncity_weather(city='Graz')  # Graz\n```", [GRAZ]),
    ("```python\n[city_weather(city='Graz')]\n```", [GRAZ]),
    ("```tool_code\nprint(default_api.city_weather(city='Graz'))\n```", [GRAZ]),
    ("```tool_code\nimport default_api\ncity_weather(city='Graz')\ncity_weather(city='Bern')\n```", [GRAZ, BERN]),
    ("```javascript\ncity_weather({city: 'Graz'});\n```", [GRAZ]),
    ('```js\nconst w = await city_weather({ city: "Graz" });\nconsole.log(w);\n```', [GRAZ]),
    ("functions.city_weather(city='Graz')", [GRAZ]),
    ("city_weather.call(city='Graz')", [GRAZ]),
    ('city_weather({"city": "Graz"})', [GRAZ]),
    ('city_weather(**{"city": "Graz"})', [GRAZ]),
    ('city_weather("Graz")', [GRAZ]),
    ("city_weather(city=Graz)", [GRAZ]),
    ("city_weather(city=“Graz”)", [GRAZ]),
    ('city_weather(city: "Graz")', [GRAZ]),
    ("math.gcd(a=12, b=18)", [("math.gcd", {"a": 12, "b": 18})]),
    ("math_gcd(a=12, b=18)", [("math.gcd", {"a": 12, "b": 18})]),
    ("Get Forecast(city='Graz')", [("Get Forecast", {"city": "Graz"})]),
    ("set_timer(\n    minutes=5,\n    label='tea',\n)", [TEA]),
    ("set_timer(5, 'tea')", [TEA]),
    ("set_timer(5, label='tea')", [TEA]),
    ("set_timer(minutes=05)", [FIVE]),
    ("plan_trip(stops={'Graz', 'Bern'})", [("plan_trip", {"stops": ["Graz", "Bern"]})]),
    ("plan_trip(stops=('Graz', 'Bern'))", [("plan_trip", {"stops": ["Graz", "Bern"]})]),
    ("write_note(text='a, b) c')", note("a, b) c")),
    ("write_note(text='it's')", note("it's")),
    ("write_note(text='a' 'b')", note("ab")),
    ('write_note(text=r"C:\\new")', note("C:\\new")),
    ('write_note(text="""a\n"b" c""")', note('a\n"b" c')),
    ("[city_weather(city='Graz'), set_timer(minutes=5)]", [GRAZ, FIVE]),
    ("[city_weather(city='Graz'),\n city_weather(city='Bern'),]", [GRAZ, BERN]),
    ("I call:\n[city_weather(city='Graz')]\nok", [GRAZ]),
    ("[Get Forecast(city='Graz')]", [("Get Forecast", {"city": "Graz"})]),
]

NAMED: list[tuple[str, Calls]] = [
    ('city_weather\n{"city": "Graz"}', [GRAZ]),
    ('city_weather {"city": "Graz"}', [GRAZ]),
    ('city_weather: {"city": "Graz"}', [GRAZ]),
    ('city_weather{"city": "Graz"}city_weather{"city": "Bern"}', [GRAZ, BERN]),
    ('city_weather\n{"city": "Graz"}<|assistant|>city_weather\n{"city": "Bern"}', [GRAZ, BERN]),
    ('city_weather\n```json\n{"city": "Graz"}\n```', [GRAZ]),
    ('functioncity_weather\n```json\n{"city": "Graz"}\n```', [GRAZ]),
    ('Let me check.\nfunctions.city_weather{"city": "Graz"}', [GRAZ]),
    ("list_alarms{}", [ALARMS]),
    ("/city_weather city=Graz", [GRAZ]),
    ('/city_weather city="Graz"', [GRAZ]),
]

LABELLED: list[tuple[str, Calls]] = [
    ('Thought: look it up\nAction: city_weather\nAction Input: {"city": "Graz"}', [GRAZ]),
    ("Action: city_weather\nAction Input: Graz", [GRAZ]),
    ('Action: city_weather\nAction Input: "Graz"', [GRAZ]),
    ("Action: city_weather\nAction Input: city=Graz", [GRAZ]),
    ('Action: city_weather\nAction Input:\n```json\n{"city": "Graz"}\n```', [GRAZ]),
    ('**Action:** city_weather\n**Action Input:** {"city": "Graz"}', [GRAZ]),
    ('Action: `city_weather`\nAction Input: `{"city": "Graz"}`', [GRAZ]),
    ('action: city_weather\naction_input: {"city": "Graz"}', [GRAZ]),
    ("Action: city_weather[Graz]", [GRAZ]),
    ('Action: city_weather(city="Graz")', [GRAZ]),
    ("Action: set_timer\nAction Input: {'minutes': 5}", [FIVE]),
    ("Action: list_alarms\nAction Input: {}", [ALARMS]),
    ("Action: list_alarms\nAction Input: None", [ALARMS]),
    ("Action: list_alarms", [ALARMS]),
    ("Action: write_note\nAction Input: line one\nline two", note("line one\nline two")),
    ("Action: city_weather\nAction Input: Graz\nObservation: sunny\nFinal Answer: sunny", [GRAZ]),
    ('Tool: city_weather\nArguments: {"city": "Graz"}', [GRAZ]),
    ('Function: city_weather\nParameters: {"city": "Graz"}', [GRAZ]),
    ('Tool call: city_weather({"city": "Graz"})', [GRAZ]),
    (f"Tool call: {J}", [GRAZ]),
    ('Action:\n```json\n{"action": "city_weather", "action_input": "Graz"}\n```', [GRAZ]),
]

ELEMENTS: list[tuple[str, Calls]] = [
    ("<city_weather>\n<city>Graz</city>\n</city_weather>", [GRAZ]),
    ("I'll look.\n\n<city_weather><city>Graz</city></city_weather>", [GRAZ]),
    ("```xml\n<city_weather>\n<city>Graz</city>\n</city_weather>\n```", [GRAZ]),
    ("<city_weather><city>\nGraz\n</city></city_weather>", [GRAZ]),
    ("<city_weather><city>Graz</city></city_weather>\n<city_weather><city>Bern</city></city_weather>", [GRAZ, BERN]),
    ('<city_weather city="Graz"/>', [GRAZ]),
    ('<city_weather>{"city": "Graz"}</city_weather>', [GRAZ]),
    ("<city_weather>Graz</city_weather>", [GRAZ]),
    ("<list_alarms></list_alarms>", [ALARMS]),
    ("<list_alarms/>", [ALARMS]),
    ("<set_timer><minutes>5</minutes><label>05</label></set_timer>", [("set_timer", {"minutes": 5, "label": "05"})]),
    ("<plan_trip><stops><item>Graz</item><item>Bern</item></stops></plan_trip>", [("plan_trip", {"stops": ["Graz", "Bern"]})]),
    ('<plan_trip><stops>["Graz", "Bern"]</stops></plan_trip>', [("plan_trip", {"stops": ["Graz", "Bern"]})]),
    ("<plan_trip><stops>Graz</stops><stops>Bern</stops></plan_trip>", [("plan_trip", {"stops": ["Graz", "Bern"]})]),
    ("<write_note><text>a </text> b</text></write_note>", note("a </text> b")),
    ("<write_note><text>  a &lt; b <b>x</b></text></write_note>", note("  a &lt; b <b>x</b>")),
]

SUPPLIED: list[tuple[str, Calls]] = [
    (J[:-1], [GRAZ]),
    (J[:-2], [GRAZ]),
    (f"[{J}", [GRAZ]),
    ("[city_weather(city='Graz')", [GRAZ]),
    ("[city_weather(city='Graz'", [GRAZ]),
    ("city_weather(city='Graz'", [GRAZ]),
    ("<city_weather><city>Graz</city>", [GRAZ]),
    ('city_weather\n{"city": "Graz"', [GRAZ]),
]


@pytest.mark.parametrize(("text", "read"), [*OBJECTS, *PROGRAMS, *NAMED, *LABELLED, *ELEMENTS, *SUPPLIED])
def test_a_call_is_read_in_every_way_of_writing_it(text: str, read: Calls) -> None:
    """Objects, programs, names before objects, labels, elements."""
    assert calls(text) == read


@pytest.mark.parametrize("text", [text for text, _ in SUPPLIED])
def test_brackets_missing_at_the_end_are_said(text: str) -> None:
    """A limit of tokens may have cut the call off."""
    assert found(text).supplied
    assert not found(f"{J}\n").supplied


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ('{"name": "city_weather", "arguments": {"city": "Gr', []),
        ('{"name": "set_timer", "arguments": {"minutes": 1', []),
        ('{"name": "city_weather"', []),
        ('{"name": "city_weather", "arguments"', []),
        (f'{J}\n{{"name": "city_weather", "arguments": {{"city": "Be', [GRAZ]),
        (f'[{J}, {{"name": "city_weather", "arguments": {{"city": "Be', [GRAZ]),
        ("[city_weather(city='Graz'), city_weather(city='Be", []),
        ("city_weather(city='Gr", []),
        ("<city_weather><city>Gr", []),
        ('city_weather\n{"city": "Gr', []),
        ('Action: city_weather\nAction Input: {"city": "Gr', []),
        ('{"name": "set_timer", "arguments": "five"}', []),
    ],
)
def test_a_call_that_is_cut_off_is_unread(text: str, read: Calls) -> None:
    """In a value or before its arguments; so is one whose arguments can't be told."""
    assert calls(text) == read
    assert found(text).unread


NO_CALLS = [
    # prose and quoted examples
    "The weather in Graz is fine (as always).",
    "You can use city_weather(city='Graz') to look it up.",
    "city_weather(city='Graz') returns the weather.",
    'The tool city_weather {"city": "Graz"} works',
    f"You could write `{J}` to call it.",
    f"The format would be: {J} - shall I?",
    "[city_weather](http://example.org)",
    "Action: think about it\nAction Input: none",
    "Thought: I know\nFinal Answer: 42",
    # signatures and definitions
    "city_weather(city: str) -> str",
    "- city_weather(city)\n- set_timer(minutes, label)",
    "set_timer(minutes: number, label: string)",
    'My tools: {"name": "city_weather", "description": "d", "parameters": {"type": "object", "properties": {}}}',
    # program code
    "```python\nimport requests\nr = city_weather(city='Graz')\nprint(r.json())\n```",
    "```python\ndef city_weather(city):\n    return 1\ncity_weather('Graz')\n```",
    "```python\nfor c in ['Graz']:\n    city_weather(city=c)\n```",
    f"```bash\ncurl -d '{J}' http://example.org\n```",
    # data
    '[{"name": "Ann", "age": 3}, {"name": "Bob", "age": 4}]',
    '```json\n{"name": "Ann", "age": 3}\n```',
    'Here it is:\n```json\n{"name": "svc", "parameters": {"port": 80}}\n```',
    '{"name": "mail", "price": 3}',
    '{"items": [{"name": "search", "arguments": {"query": "x"}}]}',
    '{"city": "Graz"}',
    'search {"name": "x"}',
    "<mail><b>x</b></mail>",
    '```xml\n<tools><tool name="hammer">steel</tool></tools>\n```',
    'See {"name": "absent", "arguments": {"a": 1}}',
    "See [absent(a=1)]",
    # results
    f"<tool_response>{J}</tool_response>",
    f"Observation: {J}",
]


@pytest.mark.parametrize("text", NO_CALLS)
def test_what_only_looks_like_a_call_is_text(text: str) -> None:
    """Prose, examples, signatures, definitions, program code, data, results."""
    assert (calls(text), found(text).unread) == ([], "")


@pytest.mark.parametrize(
    "text",
    [
        f"{J}\n<tool_response>\n{K}\n</tool_response>",
        f"{J}\nObservation: {K}",
        f"{J}\nUser: and Bern?\nAssistant: {K}",
        f"User: weather?\nAssistant: {J}\nUser: and Bern?\nAssistant: {K}",
        f"{J}<|im_end|>\n<|im_start|>user\nand Bern?<|im_end|>\n<|im_start|>assistant\n{K}",
        'Action: city_weather\nAction Input: {"city": "Graz"}\nObservation: 3\nAction: city_weather\nAction Input: {"city": "Bern"}',
        "city_weather(city='Graz')\n[TOOL_RESULTS] 3\ncity_weather(city='Bern')",
    ],
)
def test_what_follows_another_turn_is_played(text: str) -> None:
    """The model goes on for the user and for the tools."""
    assert calls(text) == [GRAZ]


@pytest.mark.parametrize(
    "text", ['{"name": "none"}', '{"tool_calls": []}', "[]", "Action: None\nAction Input: None", '{"tool": null}']
)
def test_a_reply_may_say_that_nothing_is_called(text: str) -> None:
    """In any of the notations."""
    assert (calls(text), found(text).says_none) == ([], True)


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "absent", "arguments": {"a": 1}}',
        '```json\n{"name": "absent", "arguments": {"a": 1}}\n```',
        '{"name": "absent", "parameters": {"a": 1}}',
        '[{"name": "absent", "arguments": {"a": 1}}]',
        "[absent(a=1)]",
    ],
)
def test_a_tool_that_is_not_offered_is_called_only_by_the_whole_reply(text: str) -> None:
    """That a model makes tools up is a finding."""
    assert calls(text) == [("absent", {"a": 1})]
    assert calls(f"So:\n{text}\nis it.") == []


def test_the_spans_are_where_the_calls_are() -> None:
    """What is left without them is the text of the reply."""
    text = f"First:\n{J}\nthen\n- city_weather(city='Bern')\nend"
    assert [text[start:end] for start, end in found(text).spans] == [J, "- city_weather(city='Bern')"]


ARGUMENTS = st.dictionaries(
    st.sampled_from(["city", "text", "x"]),
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.lists(st.text(max_size=5), max_size=3),
    max_size=3,
)


@settings(max_examples=some_of(300))
@given(
    st.lists(ARGUMENTS, min_size=1, max_size=3), st.sampled_from([None, 2]), st.booleans(), st.sampled_from(["", "\n", "Sure.\n"])
)
def test_calls_in_strict_json_are_always_read(given: list[dict[str, Any]], indent: int | None, fenced: bool, before: str) -> None:
    """With any arguments, with text around them, in a code fence or bare."""
    values = [{"name": "city_weather", "arguments": arguments} for arguments in given]
    text = json.dumps(values if len(values) > 1 else values[0], indent=indent, ensure_ascii=False)
    read = calls(f"{before}```json\n{text}\n```\nDone." if fenced else f"{before}{text}\nDone.")
    assert json.dumps(read) == json.dumps([("city_weather", arguments) for arguments in given])


PIECES = st.sampled_from(
    [
        *('{"name": "city_weather", "arguments": ', "{", "}", "[", "]", "(", ")", '"', "'", "\\", "search(", "query=", ",", ":"),
        *(
            "```",
            "```python\n",
            "```json\n",
            "\n",
            "none",
            "\\ud800",
            "Action: ",
            "search",
            "Action Input: ",
            "<search>",
            "</search>",
        ),
        *(
            "<query>",
            "</query>",
            "print(",
            " = ",
            "Observation:",
            "/search ",
            "05",
            "NaN",
            "“",
            "”",
            "[search(",
            "#",
            "//",
            "<|x|>",
        ),
    ]
)


@settings(max_examples=some_of(500))
@given(st.lists(st.one_of(PIECES, st.text(max_size=5)), max_size=50).map("".join))
def test_no_text_makes_it_raise(text: str) -> None:
    """What it finds can be stored, and stands where it says."""
    got = found(text)
    canonical_json([call.model_dump(mode="json") for call in got.calls]).encode("utf-8")
    assert len(got.calls) <= 2 * CALL_LIMIT + 1
    assert all(0 <= start < end <= len(text) for start, end in got.spans)
    assert [*got.spans] == sorted(got.spans)
