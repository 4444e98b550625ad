"""Reads the prompts of a configuration: texts, conversations, and files of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import Any

from selfopt.errors import SuiteError
from selfopt.home.plain_json import PlainJsonError, read_plain_json
from selfopt.home.plain_yaml import PlainYamlError, read_plain_yaml
from selfopt.suites.check import printable

from .left_out import LeftOut, NotImportedError
from .promptfoo_files import DATA, ROWS, TEXT, Folder
from .template import render, render_data

_KINDS = (*DATA, *ROWS, *TEXT)
_MAX_PROMPTS = 2000
_MAX_DEPTH = 4


@dataclass(frozen=True, slots=True)
class Template:
    """A prompt before it is filled: a text or the messages of a conversation."""

    text: str
    label: str = ""

    def is_meant(self, wanted: Any) -> bool:
        """Whether a test that names its prompts means this one: by label, text, or pattern."""
        if wanted is None:
            return True
        names = wanted if isinstance(wanted, list) else [wanted]
        return any(name in (self.text, self.label) or _is_of(self.label, str(name)) for name in names)

    def filled(self, values: dict[str, Any], options: dict[str, Any], where: str) -> str | list[Any]:
        """The text, or the messages, with the vars filled in."""
        chat = as_chat(self.text)
        if chat is not None:
            messages: list[Any] = render_data(chat, values, where)
            return messages
        whole = "".join(str(options.get(key) or "") if key else self.text for key in ("prefix", "", "suffix"))
        rendered = render(whole, values, where)
        return as_chat(rendered) or rendered


def _is_of(label: str, name: str) -> bool:
    return bool(label) and (label.startswith(f"{name}:") or (len(name) <= 200 and fnmatchcase(label, name)))


def as_chat(text: str) -> list[Any] | None:
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
    return found if _is_chat(found) else None


def _is_chat(found: Any) -> bool:
    return isinstance(found, list) and bool(found) and all(isinstance(m, dict) and "role" in m for m in found)


def read_prompts(prompts: Any, folder: Folder, source: str, left_out: LeftOut) -> list[Template]:
    """Read all prompts.

    Code and what is not on this machine is left out. Raises SuiteError if nothing remains.
    """
    if prompts is None:
        return [Template("{{ prompt }}")]
    found: list[Template] = []
    for index, item in enumerate(prompts if isinstance(prompts, list) else [prompts]):
        try:
            found += islice(_read(item, folder, f"{source}: prompts[{index}]"), _MAX_PROMPTS + 1 - len(found))
        except NotImportedError as error:
            left_out.other(error)
        if len(found) > _MAX_PROMPTS:
            raise SuiteError(f"{source}: more than {_MAX_PROMPTS} prompts; import it in parts")
    if not found:
        raise SuiteError(f"{left_out.first() or f'{source}: prompts is empty'}; write a prompt as text")
    return found


def _read(item: Any, folder: Folder, where: str, near: Path | None = None, depth: int = 0) -> Iterator[Template]:
    if depth > _MAX_DEPTH:
        raise SuiteError(f"{where}: files name files deeper than {_MAX_DEPTH} levels; write the prompts out")
    if isinstance(item, dict) and not {"raw", "id", "prompt"} & set(item):  # a file or text with its label
        for text, label in item.items():
            yield from _labelled(_read(text, folder, where, near, depth), label)
        return
    label = item.get("label") if isinstance(item, dict) else None
    text = item.get("raw", item.get("prompt", item.get("id"))) if isinstance(item, dict) else item
    if _is_chat(text):
        text = json.dumps(text, ensure_ascii=False)
    if not isinstance(text, str) or not text.strip():
        raise SuiteError(f"{where}: is {printable(repr(item))}; write text, or file:// and a file of text, JSON or YAML")
    if not _is_file(text, folder, near):
        yield Template(text, label if isinstance(label, str) else "")
        return
    for path in folder.find(text, where, _KINDS, near):
        yield from _labelled(_of_file(path, folder, f"{where}: {printable(text)}", depth), label)


def _is_file(text: str, folder: Folder, near: Path | None) -> bool:
    """Whether a prompt names a file: by `file://`, a scheme of others, or the name of one that is there."""
    if text.startswith(("file://", "exec:", "langfuse://", "portkey://", "helicone://")):
        return True
    if len(text) > 250 or not Path(text).suffix or any(c in text for c in "\n\0"):
        return False
    try:
        return any((base / text).is_file() for base in (near or folder.root, folder.root))
    except (OSError, ValueError):
        return False


def _labelled(found: Iterator[Template], label: Any) -> Iterator[Template]:
    for one in found:
        yield Template(one.text, one.label or (label if isinstance(label, str) else ""))


def _of_file(path: Path, folder: Folder, where: str, depth: int) -> Iterator[Template]:
    text = folder.text(path, where)
    if path.suffix == ".txt":
        yield from (Template(part.strip()) for part in f"\n{text}\n".replace("\r\n", "\n").split("\n---\n") if part.strip())
    elif path.suffix == ".jsonl":
        yield from (Template(line.strip()) for line in text.split("\n") if line.strip())
    elif path.suffix in ROWS:
        for row in folder.data(path, where):
            first = next(iter(row.values()), "")
            yield Template(row.get("prompt", first), row.get("label", ""))
    elif path.suffix in TEXT or (chat := folder.data(path, where)) is None or isinstance(chat, str):
        yield Template(text)
    elif _is_chat(chat):
        yield Template(json.dumps(chat, ensure_ascii=False))
    elif isinstance(chat, list):
        for item in chat:
            yield from _read(item, folder, where, path.parent, depth + 1)
    elif {"raw", "id", "prompt"} & set(chat):
        yield from _read(chat, folder, where, path.parent, depth + 1)
    else:
        yield Template(text)
