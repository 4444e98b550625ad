"""How families of models write their calls, as a table with one row for each family."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from selfopt.extensions import Registry
from selfopt.records import CallFormat, ToolCall

NO_CALL = "none"
SEPARATOR = ", "
Marks = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How the models of one family write their calls.

    A reply writes `around[0]`, then its calls, then `around[1]`. Each call is `marks[0]`, its body,
    and `marks[1]`.

    Attributes:
        name: the name in chains and in reports of unread replies.
        reader: the name of the reader that reads this family.
        around: special tokens before and after all calls.
        marks: the marks before and after each call. `{name}` in the first is the tool's name.
        body: `json` is an object with name and arguments, or with the arguments alone if the mark
            has the name. `parameters` puts each argument between marks of its own. `keywords` is
            `name(argument=value)`.
        parameter: the marks around an argument. `{key}` in the first is the argument's name.
        listed: when square brackets enclose the calls.
        version: raise it with every change of the row that changes what is read.
    """

    name: str
    reader: str
    around: Marks = ("", "")
    marks: Marks = ("", "")
    body: Literal["json", "parameters", "keywords"] = "json"
    parameter: Marks = ("<parameter={key}>", "</parameter>")
    listed: Literal["never", "several", "always"] = "never"
    version: int = 1

    def write(self, calls: Sequence[ToolCall]) -> str:
        """Write calls as a model of this family does."""
        listed = self.listed == "always" or (self.listed == "several" and len(calls) > 1)
        inner = (SEPARATOR if listed else "\n").join(map(self._write_call, calls))
        return f"{self.around[0]}{f'[{inner}]' if listed else inner}{self.around[1]}"

    def _write_call(self, call: ToolCall) -> str:
        opening, closing = self.marks
        if self.body == "keywords":
            body = f"{call.name}({', '.join(f'{key}={_json(value)}' for key, value in call.arguments.items())})"
        elif self.body == "parameters":
            before, after = self.parameter
            values = ((key, value if isinstance(value, str) else _json(value)) for key, value in call.arguments.items())
            body = "".join(f"\n{before.replace('{key}', key)}\n{value}\n{after}" for key, value in values) + "\n"
        else:
            body = _json(call.arguments if "{name}" in opening else {"name": call.name, "arguments": call.arguments})
        return f"{opening.replace('{name}', call.name)}{body}{closing}"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def _tagged(name: str, tag: str) -> Family:
    return Family(name=name, reader="marked", marks=(f"<{tag}>", f"</{tag}>"))


def _named(name: str, opening: str, tag: str, before: str = '<parameter name="{key}">') -> Family:
    parameter = (before, "</parameter>")
    return Family(name=name, reader="marked", marks=(opening, f"</{tag}>"), body="parameters", parameter=parameter)


TAGGED = (
    _tagged("hermes", "tool_call"),
    _tagged("jamba", "tool_calls"),
    _tagged("granite_20b", "function_call"),
    _tagged("olmo", "function_calls"),
    _tagged("qwen_tools", "tools"),
    _tagged("tool_tag", "tool"),
    _tagged("call_tag", "call"),
    _named("qwen_coder", "<function={name}>", "function", "<parameter={key}>"),
    _named("invoke", '<invoke name="{name}">', "invoke"),
    _named("function_tag", '<function name="{name}">', "function"),
    _named("named_tool", '<tool name="{name}">', "tool"),
    _named("named_call", '<call name="{name}">', "call"),
)
_PLAIN_JSON = Family(name="plain_json", reader="json", listed="several")
_PYTHONIC = Family(name="pythonic", reader="bracket", body="keywords", listed="always")
_PYTHON = Family(name="python", reader="python_call", body="keywords")

FAMILIES: Registry[Family] = Registry(
    "selfopt.families",
    {
        family.name: family
        for family in (
            *TAGGED,
            _PLAIN_JSON,
            _PYTHONIC,
            _PYTHON,
            Family(name="llama3", reader="json", around=("<|python_tag|>", "")),
            Family(name="mistral", reader="json", around=("[TOOL_CALLS] ", ""), listed="always"),
            Family(name="granite", reader="json", around=("<|tool_call|>", ""), listed="always"),
            Family(name="phi4_mini", reader="json", around=("<|tool_call|>", "<|/tool_call|>"), listed="always"),
            Family(name="internlm", reader="json", around=("<|action_start|><|plugin|>\n", "<|action_end|>")),
            Family(
                name="lfm2",
                reader="bracket",
                body="keywords",
                around=("<|tool_call_start|>", "<|tool_call_end|>"),
                listed="always",
            ),
            Family(
                name="llama4", reader="bracket", body="keywords", around=("<|python_start|>", "<|python_end|>"), listed="always"
            ),
            Family(name="gemma3", reader="python_call", body="keywords", around=("```tool_code\n", "\n```")),
        )
    },
    Family,
)
"""Every family by name."""

_FORMATS: dict[CallFormat, Family] = {"json": _PLAIN_JSON, "xml": TAGGED[0], "bracket": _PYTHONIC, "python_call": _PYTHON}


def write_calls(calls: Sequence[ToolCall], call_format: CallFormat) -> str:
    """Write calls as a prompt asks a model to. No calls are written as `none`."""
    return _FORMATS[call_format].write(calls) if calls else NO_CALL


def family_of_template(template: str) -> str:
    """The family whose calls a chat template writes; "" if none is recognised."""
    return ""
