"""Imports logs of Inspect, by its own package: what was asked, with the calls of answers that were scored as right."""

from __future__ import annotations

import importlib
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

from selfopt.errors import SuiteError
from selfopt.home import InputFileError
from selfopt.home.extras import extra_needed
from selfopt.home.files import is_regular
from selfopt.home.outside import outside_loop
from selfopt.records import ToolDefinition
from selfopt.suites.check import printable

from .assemble import SuiteParts, suite_of
from .chat import conversation_data, exactly
from .jsonl import expected_data
from .seam import Imported, ImportOption, ImportRequest
from .tools import tools_from

MAX_BYTES = 200_000_000
MAX_UNPACKED = 1_000_000_000
MAX_PROMPTS = 20_000
_RIGHT = ("C", True, 1, 1.0)


class InspectLogs:
    """The importer of logs of Inspect."""

    about = (
        "A log of Inspect (.eval or .json), by its own package, the extra `inspect`.\n\n"
        "Logs that selfopt wrote say what was expected. Of others, samples that were scored as right become prompts that expect the "
        "calls of their answer; the rest is left out. --tools gives the tools of samples that name none."
    )
    takes = "A log of Inspect."
    many = False
    options: tuple[ImportOption, ...] = ()

    def read(self, asked: ImportRequest) -> Imported:
        """Read the suite in a log."""
        source = printable(str(asked.source))
        try:
            _check(asked.source)
        except InputFileError as error:
            raise SuiteError(f"{source}: {error}") from None
        try:
            logs: Any = importlib.import_module("inspect_ai.log")
        except ImportError:
            raise SuiteError(f"logs of Inspect need {extra_needed('inspect')}") from None
        try:
            log = outside_loop(lambda: logs.read_eval_log(str(asked.source.absolute())))
        except Exception as error:  # a package of others, on a file that may hold anything
            raise SuiteError(f"{source}: Inspect can't read it ({printable(f'{type(error).__name__}: {error}')[:300]})") from None
        parts, left_out = _parts(log.samples or (), source, asked.tools)
        told = tuple(f"left out: {why} ({n})" for why, n in left_out.items())
        return Imported((suite_of(parts, asked),), told)


IMPORTER = InspectLogs()


def _check(path: Path) -> None:
    """Raises InputFileError unless it is a regular file that stays bounded when it is unpacked."""
    try:
        with open(path, "rb", opener=_opener) as file:
            if not is_regular(file.fileno()):
                raise InputFileError("not a regular file; name one")
            size = file.seek(0, 2)
            if size > MAX_BYTES:
                raise InputFileError(f"larger than {MAX_BYTES} bytes; split it")
            file.seek(0)
            if path.suffix == ".eval":
                with zipfile.ZipFile(file) as archive:
                    if sum(entry.file_size for entry in archive.infolist()) > MAX_UNPACKED:
                        raise InputFileError(f"larger than {MAX_UNPACKED} bytes when unpacked; split it")
            elif path.suffix != ".json":
                raise InputFileError("neither .eval nor .json; name a log of Inspect")
    except FileNotFoundError:
        raise InputFileError("no such file; check the path") from None
    except IsADirectoryError:
        raise InputFileError("a folder; name a file") from None
    except (zipfile.BadZipFile, ValueError) as error:
        if isinstance(error, InputFileError):
            raise
        raise InputFileError("not a log of Inspect: it is no archive; name another") from None
    except OSError as error:
        raise InputFileError(f"cannot be read ({error.strerror}); check the path and its permissions") from None


def _opener(name: str, flags: int) -> int:
    import os

    return os.open(name, flags | os.O_NONBLOCK)


def _parts(samples: Any, source: str, tools: tuple[ToolDefinition, ...] | None) -> tuple[SuiteParts, Counter[str]]:
    parts, left_out, seen = SuiteParts(), Counter[str](), set[str]()
    for sample in samples:
        name = str(sample.id)
        where = f"{source}: sample {printable(name)[:100]}"
        if name in seen:
            continue
        if len(seen) >= MAX_PROMPTS:
            raise SuiteError(f"{source}: more than {MAX_PROMPTS} samples; import it in parts")
        own = tools if tools is not None else _tools(sample, where)
        if own is None:
            left_out["samples that name no tools; give them with --tools"] += 1
            continue
        asked, answer = _asked(sample)
        known = sample.metadata.get("expected") if sample.metadata.get("trial_id") else None
        if known is not None:
            expected = expected_data(known, where)
        elif any(score.value in _RIGHT for score in (sample.scores or {}).values()):
            expected = [[exactly(call) for call in _calls(answer)]]
        else:
            left_out["samples that were not scored as right"] += 1
            continue
        messages = conversation_data([_message(each) for each in asked], where)
        if not messages or messages[-1]["role"] == "assistant":
            left_out["samples whose last message is the assistant's"] += 1
            continue
        seen.add(name)
        parts.add({"id": name, "messages": messages, "expected": expected}, own)
    if not parts.prompts:
        raise SuiteError(f"{source}: has no usable sample ({', '.join(left_out) or 'it is empty'})")
    return parts, left_out


def _asked(sample: Any) -> tuple[list[Any], Any]:
    """What the model was asked first, with what solvers put before it, and its first answer; later ones follow results of tools."""
    first = next((n for n, each in enumerate(sample.messages) if getattr(each, "source", None) == "generate"), 0)
    if first and not sample.metadata.get("trial_id"):
        return sample.messages[:first], sample.messages[first]
    asked = sample.input if isinstance(sample.input, list) else [{"role": "user", "content": sample.input}]
    return asked, sample.output.choices[0].message if sample.output.choices else None


def _message(message: Any) -> dict[str, Any]:
    if isinstance(message, dict):
        return message
    body: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.role == "assistant" and message.tool_calls:
        body["tool_calls"] = [{"id": call.id, "name": call.function, "arguments": call.arguments} for call in message.tool_calls]
    if message.role == "tool":
        body |= {"tool_call_id": message.tool_call_id, "name": message.function}
    return body


def _calls(answer: Any) -> list[dict[str, Any]]:
    return [
        {"name": call.function, "arguments": call.arguments} for call in (answer.tool_calls if answer is not None else None) or ()
    ]


def _tools(sample: Any, where: str) -> tuple[ToolDefinition, ...] | None:
    """The tools of a sample: those that selfopt noted, else those of the first request to a model."""
    noted = sample.metadata.get("tools")
    if isinstance(noted, list) and noted:
        return tools_from(noted, where)
    event = next((event for event in sample.events if getattr(event, "event", "") == "model" and event.tools), None)
    if event is None:
        return None
    found = [
        {"name": t.name, "description": t.description, "parameters": t.parameters.model_dump(exclude_none=True)}
        for t in event.tools
    ]
    return tools_from(found, where)
