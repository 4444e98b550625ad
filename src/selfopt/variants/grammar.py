"""Builds GBNF grammars from the tools of a request: no call, one or several, with their arguments.

Every tool schema is accepted: a grammar allows what the shapes of its arguments allow
(`schema_shapes`). Objects have their members in the order of the schema, the required ones first.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from selfopt.reading.families import NO_CALL, SEPARATOR
from selfopt.records import CallFormat, ToolDefinition, remembered

from .gbnf import FORMS, NEEDS, PRIMITIVES, choice, other_keys, quoted, whole_numbers
from .schema_shapes import ArgumentShapes, argument_shapes
from .shapes import Choice, Either, Listing, Members, Named, NoValue, Plain, Text, ValueShape, WholeNumber, written

_SAID_LIMIT = 4_000
_WORD_LIMIT = 160
_MOMENTS_LIMIT = 8
_CLAUSE = re.compile(r'[.!?;:,](?=\s|$)|[\n"()“”]')
_DATE = re.compile(r"(?<![0-9-])[0-9]{4}-[01][0-9]-[0-3][0-9](?![0-9-])")
_TIME = re.compile(r"(?<![0-9:])([01]?[0-9]|2[0-3]):([0-5][0-9])(?![0-9:])")
_WORD = re.compile(r'[^\s"\\]+')

_COMMA = quoted(SEPARATOR)


@remembered
def calls_grammar(tools: Sequence[ToolDefinition], call_format: CallFormat, max_calls: int, required: bool = False) -> str:
    """A grammar for `none`, or for up to max_calls calls in this format.

    `required` excludes `none` if there are tools.
    """
    builder = _Builder()
    names = [builder.rule("call", _call_body(builder, tool, call_format, len(tools))) for tool in tools]
    if not names:
        return builder.text(quoted(NO_CALL))
    call = builder.rule("any", " | ".join(names))
    more = max(max_calls, 1) - 1
    if call_format in ("json", "bracket"):
        several = f'"[" {call} ({_COMMA} {call}){{0,{more}}} "]"'
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
    return builder.text(f"{none}{name} ({_COMMA} {name}){{0,{max(max_calls, 1) - 1}}}")


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
    return builder.text(builder.arguments(argument_shapes(tool)))


def _call_body(builder: _Builder, tool: ToolDefinition, call_format: CallFormat, among: int) -> str:
    shapes = argument_shapes(tool, among)
    if call_format in ("bracket", "python_call"):
        return f'{quoted(tool.name + "(")} {builder.keywords(shapes)} ")"'
    head, tail = f'{{"name": {json.dumps(tool.name, ensure_ascii=False)}, "arguments": ', "}"
    if call_format == "xml":
        head, tail = f"<tool_call>{head}", f"{tail}</tool_call>"
    return f"{quoted(head)} {builder.arguments(shapes)} {quoted(tail)}"


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
    found = {"date": list(dates)[:_MOMENTS_LIMIT], "time": list(times)[: 2 * _MOMENTS_LIMIT]}
    return {kind: builder.rule(kind, " | ".join(quoted(f'"{one}"') for one in ones)) for kind, ones in found.items() if ones}


@dataclass(slots=True)
class _Builder:
    rules: dict[str, str] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    copied: str = ""
    moments: dict[str, str] = field(default_factory=dict)
    definitions: dict[str, str] = field(default_factory=dict)

    def rule(self, kind: str, body: str) -> str:
        """Add a rule. Its name has a number and no words from a schema."""
        name = f"{kind}{len(self.rules)}"
        self.rules[name] = body
        return name

    def primitive(self, name: str) -> str:
        """Use a shared rule, with the rules that it needs."""
        if name not in self.used:
            self.used.add(name)
            for need in NEEDS.get(name, ()):
                self.primitive(need)
        return name

    def text(self, root: str) -> str:
        """The whole grammar."""
        lines = [f"root ::= {root}", *(f"{name} ::= {body}" for name, body in self.rules.items())]
        lines += [f"{name} ::= {PRIMITIVES[name]}" for name in PRIMITIVES if name in self.used]
        return "\n".join(lines) + "\n"

    def _define(self, shapes: ArgumentShapes) -> None:
        """Name the rules of the definitions, then write them: they may use each other."""
        self.definitions = {}
        for name in shapes.definitions:
            self.definitions[name] = self.rule("def", "")
        for name, shape in shapes.definitions.items():
            self.rules[self.definitions[name]] = self.value(shape)

    def arguments(self, shapes: ArgumentShapes) -> str:
        """The arguments of a tool as a JSON object."""
        self._define(shapes)
        return self.object_body(shapes.root) if isinstance(shapes.root, Members) else self.value(shapes.root)

    def keywords(self, shapes: ArgumentShapes) -> str:
        """The arguments of a tool as keyword arguments.

        A key that is no identifier is quoted, as the readers expect.
        """
        self._define(shapes)
        forms = [self._members(one, _keyword, self._extra_keyword(one)) for one in shapes.objects()]
        return forms[0] if len(forms) == 1 else f"({' | '.join(forms)})"

    def object_body(self, shape: Members) -> str:
        """An object."""
        return f'"{{" {self._members(shape, _key, self._extra_member(shape))} "}}"'

    def _extra_member(self, shape: Members) -> str:
        if isinstance(shape.extra, NoValue):
            return ""
        self.primitive("tail")
        if not shape.listed:
            return self.rule("extra", f'"\\"" tail ": " {self.value(shape.extra)}')
        return self.rule("extra", f'"\\"" ({other_keys(list(shape.listed))}) ": " {self.value(shape.extra)}')

    def _extra_keyword(self, shape: Members) -> str:
        if isinstance(shape.extra, NoValue):
            return ""
        return self.rule("extra", f"{self.primitive('keyword')} {self.value(shape.extra)}")

    def _members(self, shape: Members, head: Callable[[str], str], extra: str) -> str:
        """The members of an object, the required ones first, then the others in their order."""
        rules = {key: self.rule("member", f"{head(key)} {self.value(part)}") for key, part in shape.listed.items()}
        first = [rule for key, rule in rules.items() if key in shape.required]
        rest = [rule for key, rule in rules.items() if key not in shape.required]
        if not first:
            return self._optional(rest, extra)
        following = "".join(f" ({_COMMA} {rule})?" for rule in rest)
        return f" {_COMMA} ".join(first) + following + (f" ({_COMMA} {extra})*" if extra else "")

    def _optional(self, rest: Sequence[str], extra: str) -> str:
        """Members of which each may be the first: one rule for each says what may follow it."""
        more = f" ({_COMMA} {extra})*" if extra else ""
        chains = [f"{extra}{more}"] if extra else []
        following = more
        for rule in reversed(rest):
            chains.append(rule + following)
            following = self.rule("then", f"({_COMMA} {rule})?{following}")
            following = f" {following}"
        chains.reverse()
        return f"({' | '.join(chains)})?" if chains else ""

    def value(self, shape: ValueShape) -> str:
        """One value of this shape."""
        match shape:
            case Text():
                return self._text(shape)
            case Plain():
                return self.primitive(shape.kind)
            case WholeNumber(low=None, high=None):
                return self.primitive("integer")
            case WholeNumber():
                return self.rule("whole", whole_numbers(shape.low, shape.high))
            case Choice():
                return self.rule("one", choice(shape.values))
            case Either():
                return self.rule("either", " | ".join(self.value(part) for part in shape.parts))
            case Listing():
                return self.rule("list", self._list(shape))
            case Members():
                return self.rule("object", self.object_body(shape)) if shape.listed or shape.said else self._free_object(shape)
            case Named():
                return self.definitions[shape.name]
        return self.primitive("free")

    def _free_object(self, shape: Members) -> str:
        return self.rule("object", '"{" "}"') if isinstance(shape.extra, NoValue) else self.primitive("freeobject")

    def _text(self, shape: Text) -> str:
        if self.copied and not shape.form:
            if not shape.hint:
                return self.copied
            return self.rule("either", f"{self.moments.get(shape.hint) or self.primitive(FORMS[shape.hint])} | {self.copied}")
        if shape.form:
            return self.moments.get(shape.form) or self.primitive(FORMS[shape.form])
        if not shape.least and shape.most is None:
            return self.primitive("string")
        self.primitive("char")
        most = "" if shape.most is None else shape.most
        return self.rule("text", f'"\\"" char{{{shape.least},{most}}} "\\""')

    def _list(self, shape: Listing) -> str:
        """A list: items by their place, or any number of them within its bounds."""
        if shape.first:
            return f'"[" {f" {_COMMA} ".join(map(self.value, shape.first))} "]"'
        if shape.most == 0:
            return '"[" "]"'
        item = self.value(shape.rest)
        body = f"{item} ({_COMMA} {item}){_times(max(shape.least - 1, 0), None if shape.most is None else shape.most - 1)}"
        return f'"[" {body} "]"' if shape.least else f'"[" ({body})? "]"'


def _times(least: int, most: int | None) -> str:
    return "*" if not least and most is None else f"{{{least},{'' if most is None else most}}}"


def _key(key: str) -> str:
    return quoted(f"{written(key)}: ")


def _keyword(key: str) -> str:
    return quoted(f"{key if key.isidentifier() else json.dumps(key)}=")
