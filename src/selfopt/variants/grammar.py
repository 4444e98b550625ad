"""Builds GBNF grammars from the tools of a request: no call, one or several, with their arguments.

GBNF: https://github.com/ggml-org/llama.cpp/tree/master/grammars. Every tool schema is accepted.
What the builder does not know, or what exceeds its limits, becomes free JSON. So a hostile schema
costs no more than an honest one.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from selfopt.reading.families import NO_CALL, SEPARATOR
from selfopt.records import CallFormat, ToolDefinition, remembered

_DEPTH_LIMIT = 5
_RULE_LIMIT = 600
_PROPERTY_LIMIT = 40
_CHOICE_LIMIT = 64
_ITEM_LIMIT = 8  # items of a list, because some small models never stop
_LITERAL_LIMIT = 256

_SAID_LIMIT = 4_000
_WORD_LIMIT = 160
_CLAUSE = re.compile(r'[.!?;:,](?=\s|$)|[\n"()“”]')
_DATE = re.compile(r"(?<![0-9-])[0-9]{4}-[01][0-9]-[0-3][0-9](?![0-9-])")
_TIME = re.compile(r"(?<![0-9:])([01]?[0-9]|2[0-3]):([0-5][0-9])(?![0-9:])")
_WORD = re.compile(r'[^\s"\\]+')

_PRIMITIVES = {
    "string": '"\\"" first char{0,120} "\\""',
    "blank": '"\\"" char{0,120} "\\""',
    "first": '[^"\\\\ \\x00-\\x1F\\x7F] | escape',
    "char": '[^"\\\\\\x00-\\x1F\\x7F] | escape',
    "escape": '"\\\\" ["\\\\/nt]',
    "integer": '"-"? ("0" | [1-9] [0-9]{0,14})',
    "number": '"-"? ("0" | [1-9] [0-9]{0,14}) ("." [0-9]{1,6})?',
    "boolean": '"true" | "false"',
    "null": '"null"',
    "date": '"\\"" year "-" [0-1] [0-9] "-" [0-3] [0-9] "\\""',
    "year": "[0-9] [0-9] [0-9] [0-9]",
    "clock": '[0-2] [0-9] ":" [0-5] [0-9]',
    "time": '"\\"" clock "\\""',
    "datetime": '"\\"" year "-" [0-1] [0-9] "-" [0-3] [0-9] "T" clock (":" [0-5] [0-9])? "Z"? "\\""',
    "free": "blank | number | boolean | null | freelist | freeobject",
    "freelist": '"[" (free (", " free){0,15})? "]"',
    "freeobject": '"{" (blank ": " free (", " blank ": " free){0,15})? "}"',
}
_NEEDS = {
    "string": ("first", "char", "escape"),
    "blank": ("char", "escape"),
    "date": ("year",),
    "time": ("clock",),
    "datetime": ("year", "clock"),
    "free": ("blank", "char", "escape", "number", "boolean", "null", "freelist", "freeobject"),
    "freeobject": ("free", "blank", "char", "escape", "number", "boolean", "null", "freelist"),
}
_FORMATS = {"date": "date", "time": "time", "date-time": "datetime"}


_ESCAPED = str.maketrans({chr(code): f"\\x{code:02X}" for code in (*range(0x20), 0x7F)} | {'"': '\\"', "\\": "\\\\", "\n": "\\n"})


@remembered
def calls_grammar(tools: Sequence[ToolDefinition], call_format: CallFormat, max_calls: int, required: bool = False) -> str:
    """A grammar for `none`, or for up to max_calls calls in this format.

    `required` excludes `none` if there are tools.
    """
    builder = _Builder()
    names = [builder.rule("call", _call_body(builder, tool, call_format)) for tool in tools]
    if not names:
        return builder.text(quoted(NO_CALL))
    call = builder.rule("any", " | ".join(names))
    more = max(max_calls, 1) - 1
    if call_format in ("json", "bracket"):
        several = f'"[" {call} ({quoted(SEPARATOR)} {call}){{0,{more}}} "]"'
        root = several if call_format == "bracket" else f"{call} | {several}"
    else:
        root = f'{call} ("\\n" {call}){{0,{more}}}'
    return builder.text(root if required else f"{quoted(NO_CALL)} | {root}")


@remembered
def choice_grammar(tools: Sequence[ToolDefinition], max_calls: int, required: bool = False) -> str:
    """A grammar for `none`, or for up to max_calls names of tools.

    `required` excludes `none` if there are tools.
    """
    builder = _Builder()
    if not tools:
        return builder.text(quoted(NO_CALL))
    name = builder.rule("name", " | ".join(quoted(tool.name) for tool in tools))
    none = "" if required else f"{quoted(NO_CALL)} | "
    return builder.text(f"{none}{name} ({quoted(SEPARATOR)} {name}){{0,{max(max_calls, 1) - 1}}}")


def arguments_grammar(tool: ToolDefinition, said: Sequence[str] = ()) -> str:
    """A grammar for the arguments of one tool.

    Args:
        tool: the tool.
        said: what the user said. If given, a text argument without a format has to be a run of
            words from one clause of it (of the last words, if there are very many), and a date or
            time has to be one that it states in figures, if there is one.
    """
    builder = _Builder()
    builder.copied = _copied(builder, said)
    builder.moments = _moments(builder, said)
    return builder.text(builder.object_body(tool.parameters, 0))


def quoted(text: str) -> str:
    """A GBNF literal that matches exactly this text. Lone surrogates are replaced."""
    return f'"{text.encode("utf-8", "replace").decode("utf-8").translate(_ESCAPED)}"'


def _call_body(builder: _Builder, tool: ToolDefinition, call_format: CallFormat) -> str:
    if call_format in ("bracket", "python_call"):
        return f'{quoted(tool.name + "(")} {builder.keywords_body(tool.parameters)} ")"'
    head, tail = f'{{"name": {json.dumps(tool.name, ensure_ascii=False)}, "arguments": ', "}"
    if call_format == "xml":
        head, tail = f"<tool_call>{head}", f"{tail}</tool_call>"
    return f"{quoted(head)} {builder.object_body(tool.parameters, 0)} {quoted(tail)}"


def _copied(builder: _Builder, said: Sequence[str]) -> str:
    """Add a rule for a run of words; "" without any words.

    Each word has a rule: the word, then maybe the next rule.
    """
    clauses = [_WORD.findall(clause) for text in said for clause in _CLAUSE.split(text[-_SAID_LIMIT:])]
    starts: list[str] = []
    for words in reversed(clauses):
        following = ""
        for word in reversed(words):
            if len(starts) >= _WORD_LIMIT:
                break
            following = builder.rule("word", quoted(word) + (f' (" " {following})?' if following else ""))
            starts.append(following)
    return builder.rule("said", f'"\\"" ({" | ".join(starts)}) "\\""') if starts else ""


def _moments(builder: _Builder, said: Sequence[str]) -> dict[str, str]:
    """Add rules for the dates and times that the user stated in the form that tools want.

    8:30 may be in the morning or in the evening; 08:30 and 14:30 have one meaning.
    """
    text = "\n".join(part[-_SAID_LIMIT:] for part in said)
    dates = dict.fromkeys(_DATE.findall(text))
    times: dict[str, None] = {}
    for hour, minute in _TIME.findall(text):
        times[f"{int(hour):02d}:{minute}"] = None
        if len(hour) == 1:
            times[f"{int(hour) + 12}:{minute}"] = None
    found = {"date": list(dates)[:_ITEM_LIMIT], "time": list(times)[: 2 * _ITEM_LIMIT]}
    return {kind: builder.rule(kind, " | ".join(quoted(f'"{one}"') for one in ones)) for kind, ones in found.items() if ones}


def _text_rule(schema: Mapping[str, Any]) -> str:
    """Choose the rule for a string.

    It follows the `format`, or else a pattern such as YYYY-MM-DD in the description.
    """
    wanted, told = schema.get("format"), schema.get("description")
    if isinstance(wanted, str) and wanted in _FORMATS:
        return _FORMATS[wanted]
    if isinstance(told, str):
        date, time = "YYYY-MM-DD" in told, "HH:MM" in told
        if date != time:
            return "date" if date else "time"
    return "string"


@dataclass(slots=True)
class _Builder:
    rules: dict[str, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    copied: str = ""
    moments: dict[str, str] = field(default_factory=dict)

    def rule(self, kind: str, body: str) -> str:
        """Add a rule. Its name has a number and no words from a schema."""
        name = f"{kind}{len(self.rules)}"
        self.rules[name] = body
        return name

    def primitive(self, name: str) -> str:
        """Use a shared rule, with the rules that it needs."""
        self.used.update((name, *_NEEDS.get(name, ())))
        return name

    def text(self, root: str) -> str:
        """The whole grammar."""
        lines = [f"root ::= {root}", *(f"{name} ::= {body}" for name, body in self.rules.items())]
        lines += [f"{name} ::= {_PRIMITIVES[name]}" for name in _PRIMITIVES if name in self.used]
        return "\n".join(lines) + "\n"

    def object_body(self, schema: Mapping[str, Any], depth: int) -> str:
        """An object with the properties of the schema in their order, the required ones first."""
        members = self._members(schema, depth, lambda key: quoted(f"{json.dumps(key, ensure_ascii=False)}: "))
        return self.primitive("freeobject") if members is None else f'"{{" {members} "}}"'

    def keywords_body(self, schema: Mapping[str, Any]) -> str:
        """The properties as keyword arguments.

        A key that is no identifier is quoted, as the readers expect.
        """
        members = self._members(schema, 0, lambda key: quoted(f"{key if key.isidentifier() else json.dumps(key)}="))
        if members is None:
            members = f'({self.primitive("blank")} "=" {self.primitive("free")} (", " blank "=" free){{0,15}})?'
        return members

    def _members(self, schema: Mapping[str, Any], depth: int, head: Callable[[str], str]) -> str | None:
        """The members of an object; None if the schema has no properties that can be listed."""
        properties = schema.get("properties")
        if not isinstance(properties, Mapping):
            return None if schema.get("additionalProperties") or "$ref" in schema else ""
        if len(properties) > _PROPERTY_LIMIT or depth > _DEPTH_LIMIT or len(self.rules) > _RULE_LIMIT:
            return None
        wanted = schema.get("required")
        required = {key for key in wanted if isinstance(key, str)} if isinstance(wanted, list) else set()
        parts: dict[str, str] = {}
        for key, part in properties.items():
            if len(str(key)) > _LITERAL_LIMIT:
                return None
            parts[key] = self.rule("member", f"{head(str(key))} {self.value(part, depth + 1)}")
        first = [rule for key, rule in parts.items() if key in required]
        rest = [rule for key, rule in parts.items() if key not in required]
        separator = quoted(SEPARATOR)
        if first:
            return f" {separator} ".join(first) + "".join(f" ({separator} {rule})?" for rule in rest)
        # With nothing required, each optional member may be the first: one alternative for each.
        chains = [rest[i] + "".join(f" ({separator} {rule})?" for rule in rest[i + 1 :]) for i in range(len(rest))]
        return f"({' | '.join(chains)})?" if chains else ""

    def value(self, schema: Any, depth: int) -> str:
        """One value; free JSON for what the builder does not know or what exceeds its limits."""
        if not isinstance(schema, Mapping) or depth > _DEPTH_LIMIT or len(self.rules) > _RULE_LIMIT:
            return self.primitive("free")
        literals = [schema["const"]] if "const" in schema else schema.get("enum")
        if isinstance(literals, list) and literals:
            return self._literals(literals)
        for key in ("anyOf", "oneOf"):
            parts = schema.get(key)
            if isinstance(parts, list) and 0 < len(parts) <= 8:
                return self.rule("either", " | ".join(self.value(part, depth + 1) for part in parts))
        kind = schema.get("type")
        if isinstance(kind, list) and 0 < len(kind) <= 8:
            return self.rule("either", " | ".join(self._typed(one, schema, depth) for one in kind))
        return self._typed(kind, schema, depth)

    def _typed(self, kind: Any, schema: Mapping[str, Any], depth: int) -> str:
        if kind == "string":
            rule = _text_rule(schema)
            if rule == "string" and self.copied:
                return self.copied
            return self.moments.get(rule) or self.primitive(rule)
        if kind in ("integer", "number", "boolean", "null"):
            return self.primitive(str(kind))
        if kind == "array":
            item = self.value(schema.get("items"), depth + 1)
            least, most = schema.get("minItems"), schema.get("maxItems")
            further = min(most, _ITEM_LIMIT) - 1 if isinstance(most, int) and most > 0 else _ITEM_LIMIT - 1
            body = f"{item} ({quoted(SEPARATOR)} {item}){{0,{further}}}"
            return self.rule("list", f'"[" {body} "]"' if isinstance(least, int) and least > 0 else f'"[" ({body})? "]"')
        if kind == "object":
            return self.rule("object", self.object_body(schema, depth))
        return self.primitive("free")

    def _literals(self, values: Sequence[Any]) -> str:
        written = []
        for value in values[:_CHOICE_LIMIT]:
            if isinstance(value, float) and not math.isfinite(value):
                continue
            try:
                text = json.dumps(value, ensure_ascii=False, allow_nan=False)
            except (TypeError, ValueError, RecursionError):
                continue
            if len(text) <= _LITERAL_LIMIT:
                written.append(quoted(text))
        return self.rule("one", " | ".join(written)) if written else self.primitive("free")
