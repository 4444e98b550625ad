"""Random texts, values, tools and calls for the oracles. Everything comes from the generator that is given, so a seed repeats it."""

from __future__ import annotations

import json
import keyword
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from selfopt.reading import FAMILIES
from tests.reading.test_families_data import TOOLS

DATA = Path(__file__).parents[1] / "reading" / "data" / "families"
FIELDS = ("around", "marks", "parameter")  # of a family; each has the mark before and the one after
NAMES = tuple(tool.name for tool in TOOLS)
# Marks that no row of the table has to have: they open or close thinking, results and turns.
THINKING = (
    *(
        "<think>",
        "</think>",
        "<THINK>",
        "<think time=3>",
        "<thinking>",
        "</thinking>",
        "[THINK]",
        "[/THINK]",
        "◁think▷",
        "◁/think▷",
    ),
    *(
        "<seed:think>",
        "</seed:think>",
        "<reasoning>",
        "</reasoning>",
        "<thought>",
        "</thought>",
        "<|channel>thought\n",
        "<channel|>",
    ),
    *("<|channel|>analysis<|message|>", "<|end|>", "<|start|>assistant", "<|channel|>final<|message|>", "<|return|>"),
    *("<|START_THINKING|>", "<|END_THINKING|>", "<|START_RESPONSE|>", "<|open|>think<|sep|>", "<|close|>think<|sep|>"),
    *("<|inner_prefix|>", "<|inner_suffix|>", "<longcat_think>", "</longcat_think>", "<mm:think>", "</mm:think>"),
)
MARKS = (
    *(
        "<tool_call>",
        "</tool_call>",
        "<arg_key>",
        "</arg_key>",
        "<arg_value>",
        "</arg_value>",
        "<invoke name=",
        "</invoke>",
        "<parameter=",
    ),
    *(
        "</parameter>",
        "<function=",
        "</function>",
        "<tools>",
        "<｜tool▁calls▁begin｜>",
        "<｜tool▁call▁begin｜>",
        "<｜tool▁sep｜>",
    ),
    *(
        "<｜DSML｜invoke name=",
        "</｜DSML｜invoke>",
        "<|tool_call>call:",
        "<tool_call|>",
        '<|"|>',
        "<escape>",
        "<start_function_call>call:",
    ),
    *("[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", "<|python_tag|>", "<|tool_call_begin|>functions.", ":0<|tool_call_argument_begin|>"),
    *("<|channel|>commentary to=functions.", "<|constrain|>json<|message|>", "<|call|>", ">>>", "✿FUNCTION✿: ", "✿ARGS✿: "),
    *(
        "Action: ",
        "Action Input: ",
        "Observation:",
        "<tool_response>",
        "</tool_response>",
        "```",
        "```json\n",
        "```tool_code\n",
        "~~~",
    ),
)
SYNTAX = (
    *(
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        '"',
        "'",
        "`",
        "\\",
        "\\n",
        ",",
        ":",
        ";",
        "=",
        ".",
        "<",
        ">",
        "</",
        "/>",
        "|",
        "#",
        "//",
        "/*",
        "*/",
    ),
    *(
        '{"name": "',
        '", "arguments": {',
        '"tool_calls": [',
        '{"function": ',
        "{{",
        "}}",
        '"""',
        "“",
        "”",
        "\n",
        "\n\n",
        " ",
        "\t",
        "\u00a0",
    ),
    *(
        "0",
        "1e999",
        "-",
        "05",
        "NaN",
        "null",
        "None",
        "True",
        "&lt;",
        "&#1;",
        "\\u00e9",
        "\\ud800",
        "\x00",
        "\x1b[31m",
        "\ufeff",
        "\u2028",
    ),
)
WORDS = (
    *("for example:", "you could", "how to call", "if", "not", "such as", "save this as a.json"),
    "weather",
    "in",
    "the",
    "answer",
    "is",
    "call",
    "a",
    "of",
    "name",
    "arguments",
    "Graz",
    "Zürich",
    "東京",
    "🚆",
    "none",
    "json",
    "tool",
)
_SYLLABLES = ("ka", "lo", "mi", "ren", "tu", "vas", "pel", "do", "qui", "zen", "bra", "fo")
_RESERVED = {*keyword.kwlist, "none", "null", "true", "false", "name", "arguments", "parameters", "text", "type", "function"}


def word(random: Random) -> str:
    """A word that is nothing else to any reader: an argument's key, a part of a name."""
    made = "".join(random.choices(_SYLLABLES, k=random.randint(2, 4)))
    return made if made not in _RESERVED else f"{made}s"


@cache
def family_marks() -> tuple[str, ...]:
    """Every mark in the table of families, with a name in its place."""
    marks = (mark for family in FAMILIES.all().values() for field in FIELDS for mark in getattr(family, field, ()))
    return tuple(sorted({mark.replace("{name}", "city_weather").replace("{key}", "city") for mark in marks if mark.strip()}))


@cache
def written() -> tuple[str, ...]:
    """Every input of the families' data."""
    return tuple(case["text"] for path in sorted(DATA.glob("*.json")) for case in json.loads(path.read_text("utf-8")))


def piece(random: Random) -> str:
    """A small part of a text."""
    return random.choice(random.choice((MARKS, THINKING, SYNTAX, SYNTAX, WORDS, NAMES, family_marks() or MARKS)))


def mixture(random: Random, most: int) -> str:
    """Pieces in any order."""
    return "".join(piece(random) for _ in range(random.randint(1, most)))


def mutated(random: Random, text: str) -> str:
    """A text with parts lost, doubled, swapped, or with a piece put in."""
    for _ in range(random.randint(1, 4)):
        first, second = sorted(random.randint(0, len(text)) for _ in range(2))
        change = random.randrange(6)
        if change == 0:
            text = text[:first] + text[min(second, first + 12) :]
        elif change == 1:
            text = text[:second] + text[first:second] + text[second:]
        elif change == 2:
            text = text[:first] + piece(random) + text[first:]
        elif change == 3:
            text = text[first:] if random.random() < 0.5 else text[:second]
        elif change == 4:
            other = random.choice(written())
            text = text[:first] + other[random.randint(0, len(other)) :]
        else:
            mark = piece(random)
            text = text.replace(mark, piece(random), 1) if mark in text else text + mark
    return text


def reply(random: Random) -> str:
    """A reply as a model might write or damage it, or a mixture of pieces."""
    if random.random() < 0.3:
        return mixture(random, 30)
    text = random.choice(written())
    if random.random() < 0.3:
        text = f"{random.choice(THINKING)}{mixture(random, 4)}{random.choice(THINKING)}{text}"
    return mutated(random, text) if random.random() < 0.8 else text


def string(random: Random, *, marks: float) -> str:
    """A string as an argument: words, quotes, line breaks, and sometimes marks."""
    parts = []
    for _ in range(random.choice((0, 1, 1, 2, 3, 6))):
        kind = random.random()
        if kind < marks:
            parts.append(random.choice((*MARKS, *THINKING)))
        elif kind < 0.6:
            parts.append(random.choice(WORDS) + " ")
        elif kind < 0.8:
            parts.append(
                random.choice(('"', "'", "\n", "\\", "{", "}", "[", "]", ",", ": ", "<b>", "</b>", "&lt;", "  ", "\t", "#", "//"))
            )
        else:
            parts.append(
                random.choice(("05", "null", "true", "1.50", "é", "ß", "中文", "🚆", "http://x.y/?a=1&b=2", "--", "f(x)"))
            )
    return "".join(parts)


def value(random: Random, depth: int, *, marks: float) -> tuple[Any, dict[str, Any]]:
    """A value, and a schema that allows it alone in its type."""
    kind = random.randrange(7 if depth else 4)
    if kind <= 1:
        return string(random, marks=marks), {"type": "string"}
    if kind == 2:
        number = random.choice((0, -1, 7, 10**12, -273, 0.5, -1.25, 1e-7, random.randint(-(10**6), 10**6)))
        return number, {"type": "number" if isinstance(number, float) else "integer"}
    if kind == 3:
        return random.random() < 0.5, {"type": "boolean"}
    if kind == 4:
        items, schema = [], value(random, 0, marks=marks)[1]
        for _ in range(random.randint(0, 3)):
            items.append(_of_type(random, schema, marks))
        return items, {"type": "array", "items": schema}
    fields = {word(random): value(random, depth - 1, marks=marks) for _ in range(random.randint(0, 3))}
    properties = {key: schema for key, (_, schema) in fields.items()}
    return {key: one for key, (one, _) in fields.items()}, {"type": "object", "properties": properties}


def _of_type(random: Random, schema: dict[str, Any], marks: float) -> Any:
    while True:
        made, its = value(random, 0, marks=marks)
        if its == schema:
            return made


# ---- texts without a call ----------------------------------------------------------------------
_SENTENCES = (
    "The tool {name} needs a city.",
    "I have no access to {name} here, so I can't say.",
    "You asked about {name}: it looks up what it is told to.",
    "`{name}` takes one argument, `city`.",
    "Its signature is `{name}(city)`.",
    "Call {name} for that; {other} is for something else.",
    "There are {name}, {other} and more.",
    "First {name}, then {other}.",
    "{name} [1] is described in the manual (see page 3).",
    "In Graz it is {{cold}}, about 3 < 4 degrees, and x > y.",
    "Use f(x) = 2x + 1, or a[i] = b[i - 1].",
    "He said: “no tool is needed” — and left.",
    "Prices: 3 €, 4 $, 50 %.",
)
_CODE = (
    "def area(width, height):\n    return width * height\n\n\nprint(area(2, 3))",
    'items = [x for x in range(10) if x % 2]\nprint(f"{items[0]} of {len(items)}")',
    "for (let i = 0; i < 10; i++) {\n  total += list[i];\n}",
    "SELECT city, count(*) FROM trips WHERE stops > 2 GROUP BY city;",
    '<div class="a">\n  <p>text</p>\n</div>',
    "#include <vector>\nstd::vector<int> v{1, 2, 3};",
    "curl -s https://example.org/a?b=1 | grep -v '[x]'",
    "{{ user.city }} and {% for a in alarms %}{{ a }}{% endfor %}",
)

_LEADS = (
    "For example:",
    "Here's how you would call it:",
    "You could call",
    "I will not call",
    "### Example",
    "Save this as calls.json:",
)


def _data(random: Random, depth: int) -> Any:
    kind = random.randrange(5 if depth else 3)
    if kind == 0:
        return random.choice((3, 2.5, True, None, -1))
    if kind <= 2:
        return random.choice(WORDS)
    if kind == 3:
        return [_data(random, depth - 1) for _ in range(random.randint(0, 3))]
    keys = random.sample(
        ("city", "age", "title", "id", "items", "price", "note", "tags", "name", *NAMES[:2]), k=random.randint(1, 4)
    )
    # A key that is a tool's name has no object here: some models write calls so.
    return {key: _data(random, 0 if key in NAMES else depth - 1) for key in keys}


def plain(random: Random) -> list[str]:
    """Parts of a text: prose, lists, tables, code, data and examples, with tools mentioned by name. They hold no call."""
    parts = []
    for _ in range(random.randint(1, 5)):
        kind = random.randrange(7)
        name, other = random.sample(NAMES, k=2)
        sentence = random.choice(_SENTENCES).format(name=name, other=other)
        if kind <= 1:
            parts.append(sentence)
        elif kind == 2:
            parts.append("\n".join(f"- {random.choice(_SENTENCES).format(name=name, other=other)}" for _ in range(3)))
        elif kind == 3:
            parts.append(f"| tool | use |\n|---|---|\n| {name} | {sentence} |\n| {other} | none |")
        elif kind == 4:
            parts.append(f"```{random.choice(('', 'python', 'js', 'text'))}\n{random.choice(_CODE)}\n```")
        elif kind == 5:
            call = json.dumps({"name": name, "arguments": {"city": random.choice(WORDS)}}, indent=random.choice((None, 2)))
            parts.append(f"{random.choice(_LEADS)}\n```json\n{call}\n```")
        else:
            fence = random.choice(("", "json"))
            parts.append(f"```{fence}\n{json.dumps(_data(random, 3), indent=random.choice((None, 2)), ensure_ascii=False)}\n```")
    return parts
