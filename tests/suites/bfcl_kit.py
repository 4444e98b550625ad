"""A small leaderboard of our own, in the form of BFCL v4."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

VERSION = "2026.1.1"


def function(name: str, properties: Mapping[str, Any] | None = None, required: Sequence[str] = ()) -> dict[str, Any]:
    """A function document."""
    parameters = {"type": "dict", "properties": dict(properties or {}), "required": list(required)}
    return {"name": name, "description": f"Do {name}.", "parameters": parameters}


def question(entry_id: str, *functions: Mapping[str, Any], said: str = "", system: str = "") -> dict[str, Any]:
    """An entry of a question file."""
    messages = [{"role": "system", "content": system}] if system else []
    return {
        "id": entry_id,
        "question": [[*messages, {"role": "user", "content": said or f"Please do {entry_id}."}]],
        "function": list(functions),
    }


def answer(entry_id: str, *calls: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of an answer file."""
    return {"id": entry_id, "ground_truth": list(calls)}


BELL = function(
    "tower.ring",
    {
        "bell": {"type": "string", "description": "Which.", "enum": ["small", "large"]},
        "force": {"type": "float", "description": "How hard.", "default": 1.0},
        "at": {"type": "tuple", "description": "Where.", "items": {"type": "float"}},
        "guests": {"type": "array", "description": "Who.", "items": {"type": "string"}},
        "how": {"type": "dict", "description": "How.", "properties": {"speed": {"type": "float", "description": "Speed."}}},
        "note": {"type": "any", "description": "Anything."},
    },
    ["bell"],
)
WAVE = function("wave", {"times": {"type": "integer", "description": "How often."}}, ["times"])

FILES: dict[str, list[dict[str, Any]]] = {
    "BFCL_v4_simple_python.json": [question("simple_python_0", BELL), question("simple_python_1", WAVE)],
    "possible_answer/BFCL_v4_simple_python.json": [
        answer("simple_python_0", {"tower.ring": {"bell": ["large"], "force": ["", 2.0], "at": ["", [1.0, 2.0]]}}),
        answer("simple_python_1", {"wave": {"times": [3]}}),
    ],
    "BFCL_v4_live_parallel.json": [question("live_parallel_0-0-0", WAVE, BELL, system="Be brief.")],
    "possible_answer/BFCL_v4_live_parallel.json": [
        answer("live_parallel_0-0-0", {"wave": {"times": [1]}}, {"wave": {"times": [2]}})
    ],
    "BFCL_v4_irrelevance.json": [question("irrelevance_0", WAVE), question("irrelevance_1")],
    "BFCL_v4_live_relevance.json": [question("live_relevance_0-0-0", WAVE)],
}


def lines(entries: Sequence[Any]) -> str:
    """Entries as the files have them: one JSON object a line."""
    return "\n".join(json.dumps(entry) for entry in entries) + "\n"


def texts(files: Mapping[str, Sequence[Any]] | None = None) -> dict[str, str]:
    """The files' texts by name."""
    return {name: lines(entries) for name, entries in (FILES if files is None else files).items()}


def write_folder(folder: Path, files: Mapping[str, str]) -> Path:
    """The data folder, as it lies in the package."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def write_wheel(folder: Path, files: Mapping[str, str], version: str = VERSION) -> Path:
    """A wheel that pip accepts, with the data and a module that must never be executed."""
    path = folder / f"bfcl_eval-{version}-py3-none-any.whl"
    info = f"bfcl_eval-{version}.dist-info"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr("bfcl_eval/__init__.py", "raise SystemExit('executed')\n")
        for name, text in files.items():
            wheel.writestr(f"bfcl_eval/data/{name}", text)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: bfcl-eval\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path
