"""Signs of a call in a text that nobody could read."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.reading.signs import sign_of_call
from selfopt.records import UNKNOWN_FORMAT, ToolDefinition
from tests.examples import some_of

TOOLS = (
    ToolDefinition(name="city_weather", parameters={"properties": {"city": {"type": "string"}}}),
    ToolDefinition(name="set_timer"),
)


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ('<tool_call>{"name": "city_wea', "hermes"),
        ("<tool_call>city_weather<arg_key>city</arg_key>", "glm47"),
        ("<tool_call>\n<function=city_weather>\n<parameter=city>Gr", "qwen_coder"),
        ("<function=city_wea", "qwen_coder"),
        ('[TOOL_CALLS]city_weather[ARGS]{"ci', "mistral_args"),
        ('<|channel|>commentary to=functions.city_weather <|constrain|>json<|message|>{"ci', "gpt_oss"),
        ('<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>city_weather\n```json\n{"ci', "deepseek_v3"),
        ('<|tool_call_begin|>functions.city_weather:0<|tool_call_argument_begin|>{"ci', "kimi_k2"),
        ("<start_function_call>call:city_weather{city:<esc", "functiongemma"),
        ('city_weather(city="Gr', UNKNOWN_FORMAT),
        ('I look it up: city_weather(city="Gr', UNKNOWN_FORMAT),
        ('{"name": "city_weather", "arguments": {"city": "Gr', UNKNOWN_FORMAT),
        ("<city_weather>\n<city>Gr", UNKNOWN_FORMAT),
        ('Action: city_weather\nAction Input: {"ci', UNKNOWN_FORMAT),
        ('city_weather: {"city": "Gr', UNKNOWN_FORMAT),
    ],
)
def test_a_call_that_is_cut_off_is_seen(text: str, family: str) -> None:
    """With its family where marks tell it."""
    assert sign_of_call(text, TOOLS) == family


@pytest.mark.parametrize(
    "text",
    [
        '<|zz_call|>city_weather|{"city": "Graz"}<|zz_end|>',
        '<|zz_call|>city_weather|{"city": "Graz"',
        "<|zz_call|>city_weather<|zz_args|>city=Graz<|zz_end|>",
        "<|zz_call|>city_weather city Graz<|zz_end|>",
        "<|zz_call|> name: city_weather; city: Graz <|zz_end|>",
        '<|zz|>city_weather|{"city": "Graz"}@@<|zz|>',
        "<|zz|>functions.city_weather city=Graz",
        "<｜zz▁call｜>city_weather｜city｜Graz",
        '<zz:call>city_weather "city": "Graz"</zz:call>',
        "<zz_invoke>city_weather<city=Graz></zz_invoke>",
        "[ZZ_CALL] city_weather city=Graz [/ZZ_CALL]",
        '[ZZ_TOOL]city_weather#{"city": "Graz"@@',
        'I look it up.\n<|zz_call|>city_weather|{"city": "Graz"}<|zz_end|>',
        'city_weather|{"city": "Graz"}',
        '<|zz_call|>\x1b[31m<b>city_weather</b>|{"city": "<i>"@@',
    ],
)
def test_a_call_between_marks_that_nobody_knows_is_seen(text: str) -> None:
    """So a model with a format of its own does not look like one that never calls."""
    assert sign_of_call(text, TOOLS) == UNKNOWN_FORMAT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "none",
        "<|im_start|>assistant\nThe weather is fine.<|im_end|>",
        "<|im_start|>city_weather is one of my tools.",
        "<|zz|>I can use city_weather for that.",
        "<|zz|>city_weather tells you the weather.",
        'The model writes <|zz_call|>city_weather|{"city": "Graz"}<|zz_end|> for it.',
        '<|zz_result|>city_weather|{"celsius": 3}',
        '<|tool_output|>city_weather: {"celsius": 3}',
        "[Tools]\n- city_weather: weather of a city",
        '<zz_tools>[{"name": "city_weather", "description": "x"}]</zz_tools>',
        "| tool | arguments |\n|---|---|\n| city_weather | city |",
        "[TODO] city_weather: write the documentation",
        "[call me] when city_weather is done",
        "<|zz_call|>\\n<|zz_call|>set_timers, not set_time",
        "Write calls in <tool_call> tags.",
        "The [TOOL_CALLS] token opens a call.",
        "Use <function=city_weather> in the template.",
        "You could call `city_weather(city)` for this.",
        "I can use city_weather: it tells you the weather.",
        "- city_weather: weather\n- set_timer: timer",
        "I would need city_weather(city) and set_timer(minutes) for that.",
        "def city_weather(city):\n    return 1\n\nprint(city_weather('x'))",
        'The format is {"name": "city_weather", "arguments": {...}} as you know.',
        '{"name": "city_weather", "description": "x", "parameters": {"type": "object", "properties": {}}}',
        '<tool_call>{"city": "Graz"}</tool_call>',
        "<tool_call></tool_call>",
        '<tool_response>\n{"name": "city_weather", "content": {"x": 1',
        '```json\n{"name": "Ann", "age": 3}\n```',
        '{"name": "Ann", "age": ',
    ],
)
def test_mentions_examples_definitions_and_data_are_no_signs(text: str) -> None:
    """So restraint stays restraint."""
    assert sign_of_call(text, TOOLS) == ""


@settings(max_examples=some_of(200), deadline=None)
@given(
    st.lists(
        st.sampled_from(["<tool_call>", "city_weather", "(", "{", '"', "name", ":", "<function=", "\n", "x ", "to=", "```"])
    ).map("".join)
)
def test_no_text_makes_it_raise(text: str) -> None:
    """Whatever the marks."""
    sign_of_call(text, TOOLS)
