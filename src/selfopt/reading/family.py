"""What a row of the table of families says, and how calls are written by it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from selfopt.records import ToolCall

SEPARATOR = ", "
Marks = tuple[str, str]
Body = Literal["json", "keyed", "parameters", "keywords", "braces"]

_TYPES = {bool: "boolean", int: "number", float: "number", str: "string", dict: "object", list: "array", tuple: "array"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How the models of one family write their calls.

    A reply writes `around[0]`, then its calls, then `around[1]`. Each call is `marks[0]`, its body,
    and `marks[1]`.

    Attributes:
        name: the name in chains and in reports of unread replies.
        title: the name for people.
        reader: the name of the reader that reads this family.
        around: special tokens before and after all calls.
        marks: the marks before and after each call. `{name}` in the first is the tool's name,
            `{index}` counts calls from 0, `{number}` from 1, and `{id}` is the id of the call.
        between: what stands between two calls.
        body: `json` is an object with name and arguments, or with the arguments alone if the mark
            has the name. `keyed` is an object whose one key is the name. `parameters` puts each
            argument between marks of its own. `keywords` is `name(argument=value)`, and `braces` is
            `name{argument:value}`.
        keys: the keys of name and arguments in an object.
        parameter: the marks around an argument. `{key}` is the argument's name, `{string}` says whether it is a string, and `{type}` names its type.
        quote: the mark on both sides of a string in braces.
        listed: when square brackets enclose the calls.
        others: further marks that servers and damaged models write instead, before and after a call.
        template: texts that the models' chat templates have, all of them; empty if nothing tells.
        vllm: the name of its parser in vLLM; "" if there is none.
        sglang: the name of its parser in SGLang; "" if there is none.
        version: raise it with every change of the row that changes what is read.
    """

    name: str
    title: str = ""
    reader: str = "marked"
    around: Marks = ("", "")
    marks: Marks = ("", "")
    between: str = "\n"
    body: Body = "json"
    keys: tuple[str, str] = ("name", "arguments")
    parameter: Marks = ("<parameter={key}>\n", "\n</parameter>\n")
    quote: str = ""
    listed: Literal["never", "several", "always"] = "never"
    others: tuple[Marks, ...] = ()
    template: tuple[str, ...] = ()
    vllm: str = ""
    sglang: str = ""
    version: int = 1

    @property
    def server_parser(self) -> Mapping[str, str]:
        """The flags with which servers read this family themselves, by the server's name."""
        flags = {
            "vllm": f"--enable-auto-tool-choice --tool-call-parser {self.vllm}" if self.vllm else "",
            "sglang": f"--tool-call-parser {self.sglang}" if self.sglang else "",
            "llama.cpp": "--jinja" if self.template else "",
        }
        return {server: flag for server, flag in flags.items() if flag}

    def write(self, calls: Sequence[ToolCall]) -> str:
        """Write calls as a model of this family does."""
        listed = self.listed == "always" or (self.listed == "several" and len(calls) > 1)
        inner = (SEPARATOR if listed else self.between).join(self._call(call, index) for index, call in enumerate(calls))
        return f"{self.around[0]}{f'[{inner}]' if listed else inner}{self.around[1]}"

    def _call(self, call: ToolCall, index: int) -> str:
        opening, closing = self.marks[0], self.marks[1].replace("{name}", call.name)
        # The name last, so that braces in it stay as they are.
        for field, value in (("index", index), ("number", index + 1), ("id", call.id or f"call{index:05}"), ("name", call.name)):
            opening = opening.replace(f"{{{field}}}", str(value))
        return f"{opening}{self._body(call)}{closing}"

    def _body(self, call: ToolCall) -> str:
        named = "{name}" in self.marks[0]
        match self.body:
            case "keywords":
                arguments = ", ".join(f"{key}={_json(value)}" for key, value in call.arguments.items())
                return f"({arguments})" if named else f"{call.name}({arguments})"
            case "braces":
                return _braces(call.arguments, self.quote)
            case "parameters":
                return "".join(self._parameter(key, value) for key, value in call.arguments.items())
            case "keyed":
                return _json({call.name: call.arguments})
            case "json":
                return _json(call.arguments if named else dict(zip(self.keys, (call.name, call.arguments), strict=True)))

    def _parameter(self, key: str, value: Any) -> str:
        before, after = self.parameter
        fields = {"string": "true" if isinstance(value, str) else "false", "type": _TYPES.get(type(value), "null")}
        for field, said in fields.items():
            before = before.replace(f"{{{field}}}", said)
        text = _text(value)
        either = "<parameter={key}" in before and (text.startswith("\n") or text.endswith("\n"))
        if not before.endswith("\n") and (either or (("name=" in before or "<{key}>" in before) and _framed(text))):
            # Readers take line breaks on both sides for the notation of models that write them.
            text = f"\n{text}\n"
        return f"{before.replace('{key}', key)}{text}{after.replace('{key}', key)}"


def _framed(text: str) -> bool:
    return len(text) > 1 and text.startswith("\n") and text.endswith("\n")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _json(value)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _braces(value: Any, quote: str) -> str:
    if isinstance(value, Mapping):
        return f"{{{','.join(f'{key}:{_braces(item, quote)}' for key, item in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{','.join(_braces(item, quote) for item in value)}]"
    return f"{quote}{value}{quote}" if isinstance(value, str) else _json(value)
