"""The marks that the reader `xml` of the chain `all@1` looks for."""

from __future__ import annotations

from selfopt.reading.families import Family


def _tagged(name: str, tag: str) -> Family:
    return Family(name=name, reader="xml", marks=(f"<{tag}>", f"</{tag}>"))


def _named(name: str, opening: str, tag: str, before: str = '<parameter name="{key}">') -> Family:
    parameter = (before, "</parameter>")
    return Family(name=name, reader="xml", marks=(opening, f"</{tag}>"), body="parameters", parameter=parameter)


# The rows that the reader `xml` reads. Variants that name it were measured with exactly these rows,
# so a new row goes into the table below, where a chain can name it.
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
