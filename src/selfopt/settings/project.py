"""A project's own files, `selfopt.toml` and the `.env` beside it, and what they may choose.

A project can come from anywhere. If the user does not trust its folder, only the settings count
that `ProjectMay` marks in the settings tree; all others are ignored and reported. `selfopt trust`
lets all of them count until one of the files changes. Keys, base URLs, homes and consents are never
taken from a project.
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
"""The keys that lead to a setting, from the top of the tree."""
State = Literal["trusted", "untrusted", "changed", "refused"]


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """One file as it was read. The same bytes are parsed and hashed."""

    path: Path
    content: bytes

    @property
    def sha256(self) -> str:
        """The hash of its content."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True, slots=True)
class AskedSetting:
    """One setting that a project's file asks for.

    Attributes:
        place: Where it is in the settings tree.
        file: The file that asks for it.
        wanted: The value asked for, as text without secrets.
        in_force: The value without the project's files, as text without secrets.
        counts: Whether the wanted value is used.
    """

    place: Place
    file: Path
    wanted: str
    in_force: str
    counts: bool

    @property
    def name(self) -> str:
        """Its dotted name, as in a file: `models.aliases.small`."""
        return ".".join(part if _BARE.fullmatch(part) else json.dumps(part) for part in self.place)

    @property
    def line(self) -> str:
        """What is asked for and what is in force instead, on one line. Long values are cut."""
        return escape_control(f"{self.name} = {_cut(self.wanted)} (now {_cut(self.in_force)})", 400)

    @property
    def whole(self) -> str:
        """What is asked for, uncut, and the value without it. A user who is to agree reads this."""
        return escape_control(f"{self.name} = {self.wanted} (without it: {_cut(self.in_force)})")


@dataclass(frozen=True, slots=True)
class Project:
    """What a project's files ask for, and what of it counts.

    Attributes:
        folder: The project's folder.
        files: The files that were read.
        state: `refused` means that its files cannot be used at all; `changed`, that it is trusted
            no more since a file changed.
        asked: The settings that its files ask for.
        changed: The files that changed since the user trusted the folder.
        problem: Why its files or the entry of its trust cannot be used.
        named: Files that a trusted project's files name, with the sha256 they must have.
        digests: The sha256 of every file that trust covers: the project's own by name, others by
            path.
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
        """The settings that do not count."""
        return tuple(a for a in self.asked if not a.counts)

    def notice(self) -> str:
        """Returns one line about the ignored settings; empty when there are none."""
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
        """Raises SettingsError if the project names this file and it is not what the user trusted.

        Call it after reading one.
        """
        trusted = self.named.get(path)
        if trusted is not None and digest_of(path) != trusted:
            raise SettingsError(
                f"{path} has changed since {self.folder} was trusted; look at it, then call: selfopt trust {self.folder}"
            )


def look_for_files(cwd: Path, user_file: Path, *, with_dotenv: bool) -> tuple[Path, list[Path]]:
    """Finds the nearest `selfopt.toml` upwards that is not the user's own, and the `.env` beside
    it.

    Without such a file, looks for the `.env` in cwd.

    Returns:
        The project's folder and its files.
    """
    own = user_file.resolve()
    project = next((f / FILE_NAME for f in (cwd, *cwd.parents) if (f / FILE_NAME).is_file()), None)
    folder = project.parent if project is not None else cwd
    found = [project] if project is not None and project.resolve() != own else []
    if with_dotenv and (folder / DOTENV_NAME).is_file():
        found.append(folder / DOTENV_NAME)
    return folder, found


def read_file(path: Path) -> bytes:
    """Reads a file of settings. Raises SettingsError when that fails or it has over a megabyte."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}; check its permissions") from None
    if len(content) > MAX_BYTES:
        raise SettingsError(f"{path} has more than {MAX_BYTES} bytes, the most that is read; shorten it")
    return content


def digest_of(path: Path) -> str:
    """Returns the sha256 of a regular file of at most 64 MB; empty for anything else."""
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
    """Yields every setting of a tree with its place.

    Settings are the fields of tables, each alias, and each endpoint as a whole.
    """
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
    """Returns the settings without aliases that contain a slash, which never count."""
    aliases = value_at(values, ("models", "aliases"))
    if not isinstance(aliases, Mapping):
        return dict(values)
    return {**values, "models": {**values["models"], "aliases": {n: to for n, to in aliases.items() if "/" not in n}}}


def named_files(values: Mapping[str, Any]) -> list[Path]:
    """Lists the files that settings name. Their paths must be absolute already."""
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
    """Says whether a reference suite is given as a file and not by name."""
    return isinstance(value, str) and (value.endswith(SUITE_SUFFIXES) or os.sep in value)


def judge(values: Mapping[str, Any], before: Mapping[str, Any], names: frozenset[str]) -> tuple[dict[str, Any], set[Place]]:
    """Decides what of an untrusted project's file counts.

    Args:
        values: The file's settings.
        before: The user's own settings.
        names: Endpoints and aliases of the user and of selfopt itself.

    Returns:
        The settings that count, as a tree, and their places.
    """
    counts: dict[str, Any] = {}
    allowed = {place: value for place, value in leaves(values) if _may(place, value, before, names)}
    for place, value in allowed.items():
        node = counts
        for part in place[:-1]:
            node = node.setdefault(part, {})
        node[place[-1]] = value
    return counts, set(allowed)


def _may(place: Place, value: Any, before: Mapping[str, Any], names: frozenset[str]) -> bool:
    allowed = _marked(place)
    if allowed is ProjectMay.LOWER:
        return _is_lower(value, before[place[0]][place[1]])
    if allowed is ProjectMay.ADD_SCRIPTED:
        plays_here = isinstance(value, Mapping) and value.get("kind") == "scripted" and isinstance(value.get("script"), str)
        return plays_here and set(value) <= _IN_PROCESS_KEYS and place[-1] not in names
    return False


def _marked(place: Place) -> ProjectMay | None:
    """Returns what an untrusted project may do to a setting."""
    known = Settings.model_fields.get(place[0])
    table = known.annotation if known is not None else None
    if len(place) == 2 and isinstance(table, type) and issubclass(table, Record):
        known = table.model_fields.get(place[1])
    elif len(place) > 2:
        return None
    return next((m for m in known.metadata if isinstance(m, ProjectMay)), None) if known is not None else None


def _is_lower(value: Any, own: float | None) -> bool:
    """Says whether a number, perhaps as text, is lower than the user's own (None: no limit).

    Says yes for anything else, which the setting's type will refuse.
    """
    try:
        return own is None or not float(value) >= own
    except (TypeError, ValueError, OverflowError):
        return True


def shown(value: Any) -> str:
    """Returns a value as text, uncut.

    Shows only the kind and script of an endpoint, since the rest may be secret.
    """
    if value is None:
        return "not set"
    if isinstance(value, Mapping):
        if "kind" not in value:
            return f"{len(value)} entries"
        value = {k: v for k, v in value.items() if k in ("kind", "script") and v is not None}
    return json.dumps(value, default=str, ensure_ascii=False)


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"


def value_at(tree: Mapping[str, Any], place: Place) -> Any:
    """Returns the value at a place, or None."""
    node: Any = tree
    for part in place:
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


@dataclass(frozen=True, slots=True)
class FolderTrust:
    """Whether the user trusts a folder.

    Attributes:
        named: The sha256 of the files that its own files named when it was trusted. None: it is not
            trusted.
        changed: The files that changed since.
        problem: Why the entry of its trust cannot be read.
    """

    named: Mapping[Path, str] | None = None
    changed: tuple[str, ...] = ()
    problem: str = ""

    @property
    def holds(self) -> bool:
        """Whether the folder is trusted and no file has changed."""
        return self.named is not None and not self.changed


def trust_of(folder: Path, found: list[ProjectFile], *, with_dotenv: bool) -> FolderTrust:
    """Says whether the user trusts this folder.

    Compares the bytes of `found` with what was trusted; reads no file again.
    """
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
