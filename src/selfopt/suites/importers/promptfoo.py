"""Imports promptfoo's configurations.

Reads prompts, vars, tools of providers, and asserts that state tool calls.

Executes nothing. Refuses JavaScript, Python, transforms, template code and files of code by name.
Source: promptfoo's documentation of its configuration and of deterministic metrics.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any

from selfopt.errors import SuiteError
from selfopt.home.plain_json import PlainJsonError, read_plain_json
from selfopt.home.plain_yaml import PlainYamlError, read_plain_yaml
from selfopt.records import ToolDefinition, canonical_json
from selfopt.suites.check import printable

from .assemble import SuiteParts, suite_of
from .asserts import KNOWN_ASSERTS, read_asserts
from .chat import message_data
from .promptfoo_files import read_data, read_reference
from .seam import Imported, ImportOption, ImportRequest
from .template import render, render_data
from .tools import tools_from

MAX_PROMPTS = 20_000
_CODE = ("transform", "postprocess", "transformVars", "contextTransform")
_REFUSED = {"scenarios": "write its tests out", "extensions": "they are code", "nunjucksFilters": "they are code"}


class Promptfoo:
    """The importer of promptfoo's configurations."""

    about = (
        "A configuration of promptfoo whose asserts state tool calls: is-valid-openai-tools-call, tool-call-f1, equals, is-json.\n\n"
        "Asserts that are code or say nothing about tool calls are refused by name; nothing is executed."
    )
    takes = "A configuration in YAML or JSON."
    many = False
    options: tuple[ImportOption, ...] = (
        ImportOption("--provider", "provider", "Id or label of the provider whose tools are offered, where they differ."),
    )

    def read(self, asked: ImportRequest) -> Imported:
        """Read the suite in a configuration."""
        provider = next(iter(asked.options.get("provider", ())), None)
        return Imported((suite_of(read_promptfoo(asked.source, asked.tools, provider), asked),))


IMPORTER = Promptfoo()


def read_promptfoo(path: Path, tools: tuple[ToolDefinition, ...] | None = None, provider: str | None = None) -> SuiteParts:
    """Read the prompts of a configuration, each filled with the vars of each test.

    Args:
        path: the configuration.
        tools: the tools to offer instead of those of the providers.
        provider: the id or label of the provider whose tools are offered, if providers differ.

    Raises:
        SuiteError: the configuration can't be used. The message names the test and the fix, and all
            asserts that state no tool calls.
    """
    source = printable(str(path))
    config = read_data(path, source)
    if not isinstance(config, dict) or "tests" not in config:
        raise SuiteError(f"{source}: is no configuration of promptfoo, which has prompts, providers and tests")
    for key, fix in _REFUSED.items():
        if config.get(key):
            raise SuiteError(f"{source}: {key} cannot be imported; {fix}")
    offered = tools if tools is not None else _tools_of(config, path.parent, provider, source)
    default = _mapping(_loaded(config.get("defaultTest"), path.parent, f"{source}: defaultTest"), f"{source}: defaultTest")
    tests = _loaded(config["tests"], path.parent, f"{source}: tests")
    if not isinstance(tests, list) or not tests:
        raise SuiteError(f"{source}: tests is {printable(repr(tests))}; write a list of tests")
    templates = list(_templates(config.get("prompts"), path.parent, source))
    return _parts(templates, default, tests, offered, source)


def _parts(
    templates: list[Any], default: dict[str, Any], tests: list[Any], tools: tuple[ToolDefinition, ...], source: str
) -> SuiteParts:
    parts = SuiteParts()
    unknown: dict[str, list[int]] = {}
    silent: SuiteError | None = None
    for number, item in enumerate(tests, 1):
        where = f"{source}: test {number}"
        test = _mapping(item, where)
        options = {**_mapping(default.get("options"), where), **_mapping(test.get("options"), where)}
        _refuse_code(options, where)
        _refuse_code(test, where)
        fixed = {**_mapping(default.get("vars"), where), **_mapping(test.get("vars"), where)}
        for variation, values in enumerate(_combinations(fixed, options, where), 1):
            stated = read_asserts(render_data(_asserts(default, test, options), values, where), where)
            for kind in stated.unknown:
                unknown.setdefault(kind, []).append(number)
            if stated.unknown:
                continue
            try:
                expected = stated.expected(where)
            except SuiteError as error:  # unknown asserts, which concern several tests, are reported first
                silent = silent or error
                continue
            for place, template in enumerate(templates, 1):
                suffix = (f"-v{variation}" if variation > 1 else "") + (f"-p{place}" if place > 1 else "")
                messages = _messages(template, values, options, where)
                parts.add({**_head(test, f"{number}{suffix}"), "messages": messages, "expected": expected}, tools)
                if len(parts.prompts) > MAX_PROMPTS:
                    raise SuiteError(f"{source}: more than {MAX_PROMPTS} prompts; import it in parts")
    if unknown:
        shown = ", ".join(f"{kind} (test {', '.join(map(str, dict.fromkeys(found)))})"[:200] for kind, found in unknown.items())
        raise SuiteError(f"{source}: asserts that cannot be imported: {shown}; state tool calls with {', '.join(KNOWN_ASSERTS)}")
    if silent is not None:
        raise silent
    return parts


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise SuiteError(f"{where}: is {printable(repr(value))}; write a mapping")
    return value


def _loaded(value: Any, folder: Path, where: str) -> Any:
    """The value, or what stands in the file that it names."""
    return read_reference(value, folder, where) if isinstance(value, str) else value


def _refuse_code(body: Mapping[str, Any], where: str) -> None:
    for key in _CODE:
        if body.get(key):
            raise SuiteError(f"{where}: {key} is code, which is not executed; state the whole tool call in an assert")
    for key in ("prompts", "providers", "provider"):
        if body.get(key):
            raise SuiteError(f"{where}: {key} of a single test cannot be imported; put the test into a file of its own")
    if body.get("threshold", 1) != 1:
        raise SuiteError(f"{where}: a threshold cannot be imported (a set of calls is right or it is not); remove it")


def _asserts(default: dict[str, Any], test: dict[str, Any], options: dict[str, Any]) -> list[Any]:
    common = [] if options.get("disableDefaultAsserts") else default.get("assert") or []
    own = test.get("assert") or []
    return [*(common if isinstance(common, list) else [common]), *(own if isinstance(own, list) else [own])]


def _head(test: dict[str, Any], prompt_id: str) -> dict[str, Any]:
    head: dict[str, Any] = {"id": prompt_id}
    metadata = test.get("metadata")
    for key in ("kind", "split"):
        if isinstance(metadata, dict) and isinstance(metadata.get(key), str):
            head[key] = metadata[key]
    if isinstance(test.get("description"), str):
        head["reason"] = test["description"]
    return head


def _combinations(values: dict[str, Any], options: dict[str, Any], where: str) -> Iterator[dict[str, Any]]:
    """Combine the vars: promptfoo asks once for each text of a var that is a list of texts."""
    for name, value in values.items():
        if isinstance(value, str) and value.startswith("file://"):
            raise SuiteError(f"{where}: the var {printable(name)} is a file; write its text out")
    lists = {
        name: value
        for name, value in values.items()
        if isinstance(value, list) and value and isinstance(value[0], str) and not options.get("disableVarExpansion")
    }
    for chosen in product(*lists.values()):
        yield {**values, **dict(zip(lists, chosen, strict=True))}


def _templates(prompts: Any, folder: Path, source: str) -> Iterator[Any]:
    """Read the prompts: each is a text, or a conversation as a list of messages."""
    if prompts is None:
        yield "{{ prompt }}"
        return
    for index, item in enumerate(prompts if isinstance(prompts, list) else [prompts]):
        where = f"{source}: prompts[{index}]"
        text = item.get("raw", item.get("id")) if isinstance(item, dict) else item
        if not isinstance(text, str):
            raise SuiteError(f"{where}: is {printable(repr(item))}; write text, or file:// and a file of text, JSON or YAML")
        if not text.startswith("file://"):
            yield text
            continue
        found = read_reference(text, folder, where, as_text=True)
        if Path(text).suffix == ".txt":
            yield from (part.strip() for part in f"\n{found}\n".split("\n---\n") if part.strip())
        else:
            yield found


def _messages(template: str, values: dict[str, Any], options: dict[str, Any], where: str) -> list[dict[str, Any]]:
    chat = _as_chat(template)
    if chat is not None:
        filled = render_data(chat, values, where)
    else:
        text = "".join(str(options.get(key) or "") if key else template for key in ("prefix", "", "suffix"))
        rendered = render(text, values, where)
        filled = _as_chat(rendered)
        if filled is None:
            return [{"role": "user", "content": rendered}]
    return [message_data(item, f"{where}: messages[{i}]") for i, item in enumerate(filled)]


def _as_chat(text: str) -> list[Any] | None:
    """The messages in a text that is JSON or YAML; None if it is plain text."""
    plain = text.strip()
    try:
        if plain.startswith("["):
            found = read_plain_json(plain)
        elif plain.startswith("- role:"):
            found = read_plain_yaml(plain)
        else:
            return None
    except (PlainJsonError, PlainYamlError):
        return None
    is_chat = isinstance(found, list) and found and all(isinstance(m, dict) and "role" in m for m in found)
    return found if is_chat else None


def _tools_of(config: dict[str, Any], folder: Path, wanted: str | None, source: str) -> tuple[ToolDefinition, ...]:
    """The tools of the named provider, or those that all providers have in common."""
    providers = list(_providers(config.get("providers", config.get("targets"))))
    asked = [one for one in providers if wanted is None or wanted in one[:2]]
    if wanted is not None and not asked:
        known = ", ".join(printable(label or name) for name, label, _ in providers) or "none"
        raise SuiteError(f"{source}: no provider {printable(wanted)!r}; there are {known}")
    found: dict[str, Any] = {}
    for name, _, settings in asked:
        listed = settings.get("tools", settings.get("functions"))
        if listed is not None:
            listed = _loaded(listed, folder, f"{source}: tools of {printable(name)}")
            found[canonical_json(listed)] = listed
    if not found:
        raise SuiteError(f"{source}: its providers offer no tools; give them with --tools")
    if len(found) > 1:
        raise SuiteError(f"{source}: its providers offer different tools; choose one with --provider, or give --tools")
    return tools_from(next(iter(found.values())), f"{source}: tools")


def _providers(listed: Any) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield (id, label, settings) of each provider, in all forms that promptfoo accepts."""
    for item in listed if isinstance(listed, list) else [listed]:
        if isinstance(item, str):
            yield item, "", {}
        elif isinstance(item, dict):
            name: Any = item.get("id")
            body: Any = item
            if name is None and len(item) == 1:
                name, body = next(iter(item.items()))
            label, config = (body.get("label"), body.get("config")) if isinstance(body, dict) else (None, None)
            yield str(name), label if isinstance(label, str) else "", config if isinstance(config, dict) else {}
