"""Writes suites as YAML that people can edit and that is read back exactly."""

from __future__ import annotations

import re
from typing import Any

import yaml

from selfopt.errors import SuiteError
from selfopt.home.plain_yaml import PlainYamlError, read_plain_yaml
from selfopt.records import Prompt, Suite, ToolDefinition

from .check import printable
from .load import SUITE_SCHEMA_VERSION

WIDTH = 110
# PyYAML writes YAML 1.1, and suites are read by the core schema of YAML 1.2. The two disagree on what
# a number is, so text that begins like a number is quoted.
_NUMBERLIKE = re.compile(r"[-+.]?[0-9]|[-+.]+$")


class _Dumper(yaml.SafeDumper):
    """Writes blocks, and small collections in flow style.

    Writes no anchors, which suites may not have.
    """

    def ignore_aliases(self, data: Any) -> bool:
        """Write repeated data out each time."""
        return True


def _text(dumper: _Dumper, text: str) -> Any:
    lines = text.split("\n")
    # Some characters, such as Unicode line separators, survive only as escapes.
    style = '"' if not all(line.isprintable() for line in lines) else "|" if len(lines) > 1 else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)
# PyYAML quotes plain text that resolves to anything but text.
_Dumper.add_implicit_resolver("!numberlike", _NUMBERLIKE, list("-+.0123456789"))


def yaml_of(data: Any) -> str:
    """Write YAML that `read_plain_yaml` reads as exactly this data.

    Raises SuiteError for what YAML can't hold.
    """
    try:
        text = yaml.dump(
            data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=WIDTH, default_flow_style=None, indent=2
        )
        same = bool(read_plain_yaml(text) == data)
    except (yaml.YAMLError, PlainYamlError, UnicodeError, RecursionError) as error:
        raise SuiteError(
            f"the suite cannot be written as YAML ({printable(str(error))}); remove what no text file can hold"
        ) from None
    if not same:
        raise SuiteError("the suite would not be read back the same from YAML; import it with less unusual text")
    return str(text)


def tool_data(tool: ToolDefinition) -> dict[str, Any]:
    """A tool in the form that suites have."""
    return tool.model_dump(mode="json", exclude_defaults=True)


def prompt_data(prompt: Prompt) -> dict[str, Any]:
    """A prompt in the form that suites have, without fields that have their default."""
    body = prompt.model_dump(mode="json", exclude_defaults=True)
    messages = [{"role": m.pop("role"), **m} for m in body.pop("messages")]
    head: dict[str, Any] = {key: body.pop(key) for key in ("id", "kind", "reason", "tool_set", "split") if key in body}
    return {**head, "messages": messages, **body}


def suite_data(suite: Suite) -> dict[str, Any]:
    """A suite in the form of its file."""
    body = suite.model_dump(mode="json", exclude_defaults=True, exclude={"tool_sets", "prompts"})
    return {
        "schema_version": SUITE_SCHEMA_VERSION,
        **body,
        "tool_sets": {name: [tool_data(tool) for tool in tools] for name, tools in suite.tool_sets.items()},
        "prompts": [prompt_data(prompt) for prompt in suite.prompts],
    }


def suite_yaml(suite: Suite) -> str:
    """The text of a file for a suite."""
    return yaml_of(suite_data(suite))
