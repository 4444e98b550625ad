"""Imports promptfoo's configurations.

Reads prompts, vars, tools of providers, and asserts that state tool calls, from the configuration
and from the files that it names inside its folder.

Executes nothing. What is code, what a model would judge and what says nothing about a call is left
out, and named. Source: promptfoo's documentation of its configuration and of deterministic metrics.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from selfopt.errors import SuiteError
from selfopt.home import InputFileError, read_input
from selfopt.records import ToolDefinition
from selfopt.suites.check import printable
from selfopt.suites.load import data_of

from .assemble import SuiteParts, suite_of
from .asserts import KNOWN_ASSERTS, is_stating, read_asserts
from .chat import conversation_data
from .left_out import LeftOut, NotImportedError
from .promptfoo_files import DATA, MAX_BYTES, Folder
from .promptfoo_prompts import Template, read_prompts
from .promptfoo_providers import read_offered
from .promptfoo_tests import Case, combinations, mapping, read_tests, refuse_code, values_of
from .seam import Imported, ImportOption, ImportRequest
from .template import render_data, render_values

MAX_PROMPTS = 20_000
MAX_CHARACTERS = 32_000_000
_MAX_ASSERTS = 200
# Keys of a test that change how it is judged by promptfoo, and say nothing about a call.
_TOLD = ("assertScoringFunction", "threshold", "providers")


class Promptfoo:
    """The importer of promptfoo's configurations."""

    about = (
        "A configuration of promptfoo with tool calls.\n\n"
        "Its asserts state them: is-valid-openai-tools-call, tool-call-f1, equals, is-json, trajectory:tool-used and others. "
        "Asserts that are code, are judged by a model or say nothing about tool calls are left out with a note; nothing is executed."
    )
    takes = "A configuration in YAML or JSON."
    many = False
    options: tuple[ImportOption, ...] = (
        ImportOption("--provider", "provider", "Id or label of the provider whose tools are offered, where they differ."),
        ImportOption("--strict", "strict", "Refuse the file if anything in it would be left out.", is_flag=True),
    )

    def read(self, asked: ImportRequest) -> Imported:
        """Read the suite in a configuration."""
        provider = next(iter(asked.options.get("provider", ())), None)
        strict = bool(asked.options.get("strict"))
        parts, warnings = read_promptfoo(asked.source, asked.tools, provider, strict=strict)
        return Imported((suite_of(parts, asked),), warnings)


IMPORTER = Promptfoo()


def read_promptfoo(
    path: Path, tools: tuple[ToolDefinition, ...] | None = None, provider: str | None = None, *, strict: bool = False
) -> tuple[SuiteParts, tuple[str, ...]]:
    """Read the prompts of a configuration, each filled with the vars of each test.

    Args:
        path: the configuration.
        tools: the tools to offer instead of those of the providers.
        provider: the id or label of the provider whose tools are offered, if providers differ.
        strict: whether anything that would be left out refuses the file.

    Returns:
        The prompts, and one line for each sort of thing that was left out.

    Raises:
        SuiteError: the configuration can't be used, or nothing of it can. The message names the
            test and the fix.
    """
    source = printable(str(path))
    config = _config(path, source)
    folder, left_out = Folder(path.parent), LeftOut(strict)
    offered = tools if tools is not None else read_offered(config, folder, provider, source, left_out)
    for key in ("extensions", "nunjucksFilters", "assertScoringFunction"):
        if config.get(key):
            left_out.other(NotImportedError(f"{source}: {key}", "code, which is not executed"))
    default = config.get("defaultTest")
    loaded = folder.read(default, f"{source}: defaultTest") if isinstance(default, str) else default
    tests = read_tests(config, folder, source, left_out)
    templates = read_prompts(config.get("prompts"), folder, source, left_out)
    reader = _Reader(
        config, folder, Case(mapping(loaded, f"{source}: defaultTest"), folder.root), templates, offered, source, left_out
    )
    for number, test in enumerate(tests, 1):
        try:
            reader.add(number, test)
        except NotImportedError as error:
            left_out.test(number, error)
    left_out.refuse(source, KNOWN_ASSERTS)
    if not reader.parts.prompts:
        raise SuiteError(f"{source}: no test can be imported: {left_out.why()}; state tool calls with {', '.join(KNOWN_ASSERTS)}")
    return reader.parts, tuple(left_out.warnings())


def _config(path: Path, source: str) -> dict[str, Any]:
    if path.suffix not in DATA:
        raise SuiteError(f"{source}: no file of {', '.join(DATA)}; only these are read, and nothing is executed")
    try:
        text = read_input(path, MAX_BYTES)
    except InputFileError as error:
        raise SuiteError(f"{source}: {error}") from None
    config = data_of(text, source, as_json=path.suffix == ".json", aliases=True)
    if not isinstance(config, dict) or not {"tests", "scenarios"} & set(config):
        raise SuiteError(f"{source}: is no configuration of promptfoo, which has prompts, providers and tests")
    return config


@dataclass(slots=True)
class _Reader:
    """Makes prompts of tests."""

    config: dict[str, Any]
    folder: Folder
    default: Case
    templates: list[Template]
    offered: tuple[ToolDefinition, ...]
    source: str
    left_out: LeftOut
    parts: SuiteParts = field(default_factory=SuiteParts)
    characters: int = 0

    def add(self, number: int, test: Case) -> None:
        """Add the prompts of a test: one for each combination of its vars with each template.

        Raises NotImportedError if the test has to be left out.
        """
        where = f"{self.source}: test {number}"
        body = test.body
        options = {**self.default.mapping("options", where), **test.mapping("options", where)}
        for part in (options, body, self.default.body):
            refuse_code(part, where)
        if body.get("provider"):
            raise NotImportedError(where, "a provider of its own")
        common = values_of(self.default.body.get("vars"), self.folder, self.default.near, where)
        values = {**common, **values_of(body.get("vars"), self.folder, test.near, where)}
        asserts = self._asserts(test, options, where)
        self.left_out.take_asserts(
            number, [f"{key} of a test" for key in _TOLD if body.get(key, self.default.body.get(key)) is not None]
        )
        templates = [one for one in enumerate(self.templates, 1) if one[1].is_meant(body.get("prompts"))]
        if not templates:
            raise NotImportedError(where, "it is meant for no prompt that is there")
        for variation, given in enumerate(combinations(values, options), 1):
            if variation > MAX_PROMPTS:
                raise SuiteError(f"{where}: its vars have more than {MAX_PROMPTS} combinations; import it in parts")
            filled = render_values(given, where)
            stated = read_asserts(
                [render_data(one, filled, where) if is_stating(one) else one for one in asserts],
                where,
                [tool.name for tool in self.offered],
            )
            self.left_out.take_asserts(number, stated.unknown)
            if not stated.says_something:
                raise NotImportedError(where, "no assert states a tool call")
            expected = stated.expected(where)
            for place, template in templates:
                suffix = (f"-v{variation}" if variation > 1 else "") + (f"-p{place}" if place > 1 else "")
                try:
                    text = template.filled(filled, options, where)
                except NotImportedError as error:
                    self.left_out.test(number, NotImportedError(where, f"prompt {place}: {error.what}"))
                    continue
                messages = [{"role": "user", "content": text}] if isinstance(text, str) else conversation_data(text, where)
                self.parts.add({**_head(test, f"{number}{suffix}"), "messages": messages, "expected": expected}, self.offered)
                self.characters += sum(len(message.get("content", "")) for message in messages)
                if len(self.parts.prompts) > MAX_PROMPTS or self.characters > MAX_CHARACTERS:
                    raise SuiteError(
                        f"{self.source}: more than {MAX_PROMPTS} prompts, or {MAX_CHARACTERS} characters; import it in parts"
                    )

    def _asserts(self, test: Case, options: dict[str, Any], where: str) -> list[Any]:
        common = [] if options.get("disableDefaultAsserts") else self.default.body.get("assert") or []
        own = test.body.get("assert") or []
        listed = [*(common if isinstance(common, list) else [common]), *(own if isinstance(own, list) else [own])]
        if len(listed) > _MAX_ASSERTS:
            raise SuiteError(f"{where}: {len(listed)} asserts, allowed are {_MAX_ASSERTS}; write fewer")
        return [self._whole(item, test, f"{where}: assert[{index}]") for index, item in enumerate(listed)]

    def _whole(self, item: Any, test: Case, where: str) -> Any:
        """An assert with the template that it names, and with the data of the file that its value names."""
        if isinstance(item, dict) and isinstance(item.get("$ref"), str):
            item = {
                **mapping(_referred(self.config, item["$ref"], where), where),
                **{k: v for k, v in item.items() if k != "$ref"},
            }
        value = item.get("value") if isinstance(item, dict) else None
        if isinstance(value, str) and value.startswith("file://") and is_stating(item):
            if Path(value).suffix in DATA:
                return {**item, "value": self.folder.read(value, where, test.near)}
            return {**item, "type": f"{item.get('type')} with a file of {Path(value).suffix.partition(':')[0] or 'text'}"}
        return item


def _referred(config: dict[str, Any], reference: str, where: str) -> Any:
    found: Any = config
    for step in reference.removeprefix("#/").split("/"):
        found = found.get(step) if isinstance(found, dict) else None
    if found is None or not reference.startswith("#/"):
        raise SuiteError(f"{where}: $ref {printable(repr(reference))} leads nowhere; correct it")
    return found


def _head(test: Case, prompt_id: str) -> dict[str, Any]:
    head: dict[str, Any] = {"id": prompt_id}
    metadata = test.body.get("metadata")
    for key in ("kind", "split"):
        if isinstance(metadata, dict) and isinstance(metadata.get(key), str):
            head[key] = metadata[key]
    if isinstance(test.body.get("description"), str):
        head["reason"] = test.body["description"]
    return head
