"""Fakes: wheels of a few bytes, a store with tiny models, a child that is no llama.cpp."""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from selfopt.engine.catalogue import ModelEntry
from selfopt.engine.embedded import EngineOptions
from selfopt.engine.store import ModelStore

FAKE_CHILD = (sys.executable, "-P", str(Path(__file__).with_name("fake_child.py")))


def entry_for(data: bytes, *sources: str | list[str], name: str = "local/tiny") -> ModelEntry:
    """A catalogue entry for these bytes."""
    return ModelEntry.model_validate(
        {
            "name": name,
            "file": "tiny.gguf",
            "sha256": hashlib.sha256(data).hexdigest(),
            "size_bytes": len(data),
            "sources": list(sources),
        }
    )


def write_wheel(folder: Path, name: str, members: dict[str, bytes], version: str = "1.0") -> Path:
    """A wheel that pip accepts, with these members."""
    stem = f"{name.replace('-', '_')}-{version}"
    path = folder / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for member, data in members.items():
            wheel.writestr(member, data)
        wheel.writestr(f"{stem}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{stem}.dist-info/RECORD", "")
    return path


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """An empty store."""
    return ModelStore(tmp_path / "cache")


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is the only place where pip looks for wheels."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for name, value in {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder), "PIP_CONFIG_FILE": "/dev/null"}.items():
        monkeypatch.setenv(name, value)
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    return folder


@dataclass
class FakeModels:
    """A store whose models are instructions for the fake child."""

    store: ModelStore
    catalogue: dict[str, ModelEntry]
    options: EngineOptions
    folder: Path

    def add(self, name: str = "local/tiny", **behaviour: Any) -> str:
        """Pull a model that makes the child behave so."""
        data = json.dumps(behaviour).encode()
        source = self.folder / f"{name.replace('/', '-')}.bin"
        source.write_bytes(data)
        entry = entry_for(data, f"file:{source}", name=name)
        self.store.pull(entry, lambda _: None)
        self.catalogue[name] = entry
        return name


@pytest.fixture
def fakes(store: ModelStore, tmp_path: Path) -> FakeModels:
    """Models for an engine with the fake child."""
    return FakeModels(store, {}, EngineOptions(command=FAKE_CHILD, start_timeout_s=120.0, threads=1), tmp_path)
