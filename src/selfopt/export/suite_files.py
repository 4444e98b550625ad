"""Suites for other programs: JSON lines, and the folder that Hugging Face's `datasets` loads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from selfopt.home.files import atomic_write_text
from selfopt.records import ExpectedCall, Message, Prompt, Suite, ToolDefinition

SuiteForm = Literal["hf", "jsonl"]
FORMS: tuple[SuiteForm, ...] = ("hf", "jsonl")


def write_suite(suite: Suite, form: SuiteForm, out: Path) -> list[Path]:
    """Writes a suite. What stands there is replaced.

    Args:
        form: `jsonl`: one file, which `suites import jsonl` reads. `hf`: a folder with a file for each split and a
            card, which `datasets.load_dataset` reads.

    Returns:
        The files that were written.

    Raises:
        StoreError: a file can't be written.
    """
    if form == "jsonl":
        atomic_write_text(out, "".join(_line(_prompt(suite, prompt)) for prompt in suite.prompts), mode=0o644)
        return [out]
    splits = {split: [p for p in suite.prompts if p.split == split] for split in ("search", "heldout", "canary")}
    (out / "data").mkdir(parents=True, exist_ok=True)
    written = []
    for split, prompts in splits.items():
        if prompts:
            written.append(out / "data" / f"{split}.jsonl")
            atomic_write_text(written[-1], "".join(_line(_row(suite, prompt)) for prompt in prompts), mode=0o644)
    card = out / "README.md"
    atomic_write_text(card, _card(suite, [path.stem for path in written]), mode=0o644)
    return [*written, card]


def _line(body: dict[str, Any]) -> str:
    return json.dumps(body, ensure_ascii=True) + "\n"


def _prompt(suite: Suite, prompt: Prompt) -> dict[str, Any]:
    """A prompt as the importer of JSON lines reads it."""
    return {
        **{name: getattr(prompt, name) for name in ("id", "kind", "split", "tool_set") if getattr(prompt, name)},
        **({"reason": prompt.reason} if prompt.reason else {}),
        "messages": [_message(message) for message in prompt.messages],
        "tools": [_tool(tool) for tool in suite.tools_of(prompt)],
        "expected": _expected(prompt),
    }


def _row(suite: Suite, prompt: Prompt) -> dict[str, Any]:
    """A prompt as a row whose columns have one type each. What differs from row to row is JSON as text."""
    return {
        "id": prompt.id,
        "kind": prompt.kind,
        "tool_set": prompt.tool_set,
        "messages": [
            {
                "role": message.role,
                "content": message.content,
                "tool_calls": json.dumps([_call(call.id, call.name, call.arguments) for call in message.tool_calls]),
                "tool_call_id": message.tool_call_id or "",
                "name": message.name or "",
            }
            for message in prompt.messages
        ],
        "tools": json.dumps([_tool(tool) for tool in suite.tools_of(prompt)]),
        "expected": json.dumps(_expected(prompt)),
        "needs_call": prompt.needs_call,
        "reason": prompt.reason,
    }


def _message(message: Message) -> dict[str, Any]:
    body: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        body["tool_calls"] = [_call(call.id, call.name, call.arguments) for call in message.tool_calls]
    return body | {name: value for name in ("tool_call_id", "name") if (value := getattr(message, name)) is not None}


def _call(call_id: str | None, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        **({"id": call_id} if call_id else {}),
        "type": "function",
        "function": {"name": name, "arguments": json.dumps(arguments)},
    }


def _tool(tool: ToolDefinition) -> dict[str, Any]:
    return {"type": "function", "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters}}


def _expected(prompt: Prompt) -> Any:
    return "any" if prompt.expected == "any" else [list(_accepted(calls)) for calls in prompt.expected]


def _accepted(calls: tuple[ExpectedCall, ...]) -> Iterator[dict[str, Any]]:
    for call in calls:
        yield {
            "name": call.name,
            "arguments": call.arguments,
            **({"any_arguments": True} if call.any_arguments else {}),
        }


def _card(suite: Suite, splits: list[str]) -> str:
    """The card of a data set: its front matter tells which file is which split."""
    files = "".join(f"      - split: {split}\n        path: data/{split}.jsonl\n" for split in splits)
    about = json.dumps(suite.title or suite.name, ensure_ascii=True)
    synthetic = "\nA model or a template wrote these prompts.\n" if suite.synthetic is not None else ""
    return (
        f"---\npretty_name: {about}\nconfigs:\n  - config_name: default\n    data_files:\n{files}---\n\n"
        f"Prompts of phase {suite.phase} with the tools that they offer and the calls that are right, from selfopt.\n"
        f"`tools`, `expected` and `tool_calls` are JSON as text. `expected` lists accepted sets of calls, whose arguments list\n"
        f"their accepted values (an empty text: it may be left out); `[[]]` means that nothing may be called.\n{synthetic}"
    )
