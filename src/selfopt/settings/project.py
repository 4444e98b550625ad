"""A project's own files, `selfopt.toml` and the `.env` beside it, and what they may choose.

A project can come from anywhere. Of a folder that the user does not trust, only what `ProjectMay` marks in the settings tree counts;
everything else is passed over and reported. `selfopt trust` lets all of it count, until one of the files changes. Keys, base URLs,
homes and consents are never taken from a project.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from selfopt.errors import SettingsError, StoreError
from selfopt.home import TrustStore, escape_control
from selfopt.records import Record

from .tree import ProjectMay, Settings

FILE_NAME = "selfopt.toml"
DOTENV_NAME = ".env"
MAX_BYTES = 1_000_000
MAX_NAMED_BYTES = 64_000_000
SUITE_SUFFIXES = (".yaml", ".yml", ".json")
_IN_PROCESS_KEYS = frozenset({"kind", "script", "local", "slots", "grammar", "max_reply_bytes"})
_BARE = re.compile(r"[A-Za-z0-9_.-]+")
_SHOWN_NAMES = 6
_SHOWN_CHARS = 100

Place = tuple[str, ...]
"""Where a setting stands in the tree, from the top."""
State = Literal["trusted", "untrusted", "changed", "refused"]


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """One file as it was read: what is parsed is what was hashed."""

    path: Path
    content: bytes

    @property
    def sha256(self) -> str:
        """Of its content."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class AskedSetting:
    """One setting that a project's file asks for. wanted, in_force: as text, without secrets; counts: whether it is followed."""

    place: Place
    file: Path
    wanted: str
    in_force: str
    counts: bool

    @property
    def name(self) -> str:
        """As it is written in a file: `models.aliases.small`."""
        return ".".join(part if _BARE.fullmatch(part) else json.dumps(part) for part in self.place)

    @property
    def line(self) -> str:
        """What is asked for, and what is in force instead; on one line, cut where it is long."""
        return escape_control(f"{self.name} = {_cut(self.wanted)} (now {_cut(self.in_force)})", 400)

    @property
    def whole(self) -> str:
        """What is asked for, with nothing of it cut, and what would hold without it: for whoever is to agree to it."""
        return escape_control(f"{self.name} = {self.wanted} (without it: {_cut(self.in_force)})")


@dataclass(frozen=True, slots=True)
class Project:
    """What a project's files ask for, and what became of it.

    state: `trusted`; `untrusted` (problem: why the entry of its trust cannot be read); `changed` since it was trusted (changed names the
    files); `refused`: its files cannot be used at all (problem says why). files: those that were read; named: files that they
    name, with their sha256, where the project is trusted; digests: the sha256 of everything that trusting the folder is about, of its own
    files by their names, of others by their paths.
    """

    folder: Path
    files: tuple[Path, ...]
    state: State
    asked: tuple[AskedSetting, ...] = ()
    changed: tuple[str, ...] = ()
    problem: str = ""
    named: Mapping[Path, str] = field(default_factory=dict)
    digests: Mapping[str, str] = field(default_factory=dict)

    @property
    def ignored(self) -> tuple[AskedSetting, ...]:
        """What was asked for and not given."""
        return tuple(a for a in self.asked if not a.counts)

    def notice(self) -> str:
        """One line for whoever works in this folder; empty where there is nothing to say."""
        if self.state == "refused" or not self.ignored:
            return ""
        names = [escape_control(a.name, 60) for a in self.ignored]
        listed = ", ".join(names[:_SHOWN_NAMES]) + (f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else "")
        files = " and ".join(dict.fromkeys(a.file.name for a in self.ignored))
        folder = escape_control(str(self.folder))
        why = f"{', '.join(self.changed)} changed since the folder was trusted" if self.changed else self.problem
        return (
            f"ignored: {len(names)} setting{'' if len(names) == 1 else 's'} of {files} in {folder}, "
            f"since {escape_control(why) or 'you do not trust the folder'}: {listed}; "
            f"look at {'it' if len(names) == 1 else 'them'}: selfopt doctor; let all of them count: selfopt trust {folder}"
        )

    def check(self, path: Path) -> None:
        """Called when a file was read. SettingsError where the project names it and it is not what the user trusted."""
        trusted = self.named.get(path)
        if trusted is not None and digest_of(path) != trusted:
            raise SettingsError(
                f"{path} has changed since {self.folder} was trusted; look at it, then call: selfopt trust {self.folder}"
            )


def look_for_files(cwd: Path, user_file: Path, *, with_dotenv: bool) -> tuple[Path, list[Path]]:
    """(the project's folder, its files): the nearest `selfopt.toml` upwards that is not the user's own, and the `.env` beside it or,
    without one, in cwd."""
    own = user_file.resolve()
    project = next((f / FILE_NAME for f in (cwd, *cwd.parents) if (f / FILE_NAME).is_file()), None)
    folder = project.parent if project is not None else cwd
    found = [project] if project is not None and project.resolve() != own else []
    if with_dotenv and (folder / DOTENV_NAME).is_file():
        found.append(folder / DOTENV_NAME)
    return folder, found


def read_file(path: Path) -> bytes:
    """A file of settings, of at most a megabyte. SettingsError."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}; check its permissions") from None
    if len(content) > MAX_BYTES:
        raise SettingsError(f"{path} has more than {MAX_BYTES} bytes, and no more are read; shorten it")
    return content


def digest_of(path: Path) -> str:
    """The sha256 of a regular file of at most 64 MB; empty for anything else."""
    digest = hashlib.sha256()
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            about = os.fstat(file.fileno())
            if not stat.S_ISREG(about.st_mode) or about.st_size > MAX_NAMED_BYTES:
                return ""
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except OSError:
        return ""
    return digest.hexdigest()


def leaves(values: Mapping[str, Any]) -> Iterator[tuple[Place, Any]]:
    """Every setting of a tree: the fields of the fixed tables, each alias, each endpoint whole."""
    for section, value in values.items():
        known = Settings.model_fields.get(section)
        table = known.annotation if known is not None else None
        if not isinstance(value, Mapping):
            yield (section,), value
        elif isinstance(table, type) and issubclass(table, Record):
            for key, inner in value.items():
                if (section, key) == ("models", "aliases") and isinstance(inner, Mapping):
                    yield from (((section, key, name), target) for name, target in inner.items())
                else:
                    yield (section, key), inner
        else:
            yield from (((section, name), entry) for name, entry in value.items())


def without_full_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """The settings without the aliases that read as full names, which count for nobody."""
    aliases = value_at(values, ("models", "aliases"))
    if not isinstance(aliases, Mapping):
        return dict(values)
    return {**values, "models": {**values["models"], "aliases": {n: to for n, to in aliases.items() if "/" not in n}}}


def named_files(values: Mapping[str, Any]) -> list[Path]:
    """The files that settings name; their paths are whole already."""
    found: list[Path] = []
    for place, value in leaves(values):
        if place[0] == "endpoints":
            name = value.get("script") if isinstance(value, Mapping) else None
        elif place[0] == "variants" or (place[0] == "suites" and is_suite_file(value)):
            name = value
        else:
            continue
        if isinstance(name, str) and name:
            found.append(Path(name))
    return found


def is_suite_file(value: Any) -> bool:
    """Whether a reference suite is named by its file, and not by its name."""
    return isinstance(value, str) and (value.endswith(SUITE_SUFFIXES) or os.sep in value)


def judge(values: Mapping[str, Any], before: Mapping[str, Any], names: frozenset[str]) -> tuple[dict[str, Any], set[Place]]:
    """(what of an untrusted file counts, as a tree; the places of it).

    before: the user's own settings; names: of endpoints and aliases that the user or selfopt itself has.
    """
    counts: dict[str, Any] = {}
    places = set()
    for place, value in leaves(values):
        if _may(place, value, before, names):
            places.add(place)
            node = counts
            for part in place[:-1]:
                node = node.setdefault(part, {})
            node[place[-1]] = value
    return counts, places


def _may(place: Place, value: Any, before: Mapping[str, Any], names: frozenset[str]) -> bool:
    allowed = _marked(place)
    if allowed is ProjectMay.LOWER:
        return _is_lower(value, before[place[0]][place[1]])
    if allowed is ProjectMay.ADD_SCRIPTED:
        plays_here = isinstance(value, Mapping) and value.get("kind") == "scripted" and isinstance(value.get("script"), str)
        return plays_here and set(value) <= _IN_PROCESS_KEYS and place[-1] not in names
    return False


def _marked(place: Place) -> ProjectMay | None:
    """What stands beside the setting's type."""
    known = Settings.model_fields.get(place[0])
    table = known.annotation if known is not None else None
    if len(place) == 2 and isinstance(table, type) and issubclass(table, Record):
        known = table.model_fields.get(place[1])
    elif len(place) > 2:
        return None
    return next((m for m in known.metadata if isinstance(m, ProjectMay)), None) if known is not None else None


def _is_lower(value: Any, own: float | None) -> bool:
    """Whether a number as a file or a variable has it is lower than the user's own (None: no limit). What is no number is let through to
    be refused by the setting's type, as it is wherever it stands."""
    try:
        return own is None or not float(value) >= own
    except (TypeError, ValueError, OverflowError):
        return True


def shown(value: Any) -> str:
    """A value as text, whole. Of an endpoint only what tells nothing secret."""
    if isinstance(value, Mapping):
        told = {k: v for k, v in value.items() if k in ("kind", "script") and v is not None}
        text = json.dumps(told, default=str, ensure_ascii=False) if "kind" in value else f"{len(value)} entries"
    else:
        text = "not set" if value is None else json.dumps(value, default=str, ensure_ascii=False)
    return text


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"


def value_at(tree: Mapping[str, Any], place: Place) -> Any:
    """The value at a place; None where there is none."""
    node: Any = tree
    for part in place:
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


@dataclass(frozen=True, slots=True)
class FolderTrust:
    """What the user's trust of a folder comes to now. named: the sha256 that the files had which its own files name, None where it is
    not trusted; changed: what is not any more what it was; problem: why the entry cannot be read."""

    named: Mapping[Path, str] | None = None
    changed: tuple[str, ...] = ()
    problem: str = ""

    @property
    def holds(self) -> bool:
        """Whether the folder is trusted as its files are."""
        return self.named is not None and not self.changed


def trust_of(folder: Path, found: list[ProjectFile], *, with_dotenv: bool) -> FolderTrust:
    """Whether the user trusts this folder, and every file is still what it was. The bytes of `found` are judged, no others."""
    try:
        entry = TrustStore().find(folder)
    except StoreError as error:
        return FolderTrust(problem=str(error))
    if entry is None:
        return FolderTrust()
    read = {file.path.name: file.sha256 for file in found}
    own = (FILE_NAME, DOTENV_NAME) if with_dotenv else (FILE_NAME,)
    changed = [name for name in own if read.get(name, "") != entry.files.get(name, "")]
    named = {Path(name): digest for name, digest in entry.files.items() if name not in (FILE_NAME, DOTENV_NAME)}
    changed += [str(path) for path, digest in named.items() if digest_of(path) != digest]
    return FolderTrust(named, tuple(changed))
