"""Finds the home folder and names the paths in it."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from selfopt.errors import StoreError, UsageError

from .files import atomic_write_text, opened, reason_of, write_all
from .temporary import clear_temporaries, temporary_name
from .text import escape_control
from .vouched import ID_FILE, HomeRegister, is_empty, user_folder

log = logging.getLogger("selfopt.home")
FOLDER_NAME = ".selfopt"
VARIABLE = "SELFOPT_HOME"
ROOM_BYTES = 65_536


class _Place:
    """A file or folder of a home, by its name there."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, home: Home, _: object = None) -> Path:
        return home.root / self._name


@dataclass(frozen=True, slots=True)
class Home:
    """The home folder. Nothing is created before `ensure`."""

    root: Path

    @property
    def was_found(self) -> bool:
        """Whether this user's selfopt made this home: then it counts without being named."""
        return (self.root / ID_FILE).exists()

    ledger = _Place("ledger.sqlite3")  # measurements and decisions
    ledger_note = _Place("ledger_sealed.json")  # how far the audit trail has sealed a ledger in a database
    rules_note = _Place("rules_handed.json")  # the newest version of the rules that a database handed out
    routing_config = _Place("routing_config.json")  # the rules in force
    routing_versions = _Place("routing_versions")  # folder of every version of the rules, `<n>.json`
    routing_lock = _Place("routing.lock")  # short lock between writers of the rules
    audit_trail = _Place("routing_decisions.jsonl")  # changes of rules, diverted and refused requests; hash-chained
    audit_head = _Place("routing_decisions.head")  # how far the audit trail has come
    audit_log = _Place("routing_decisions.log")  # readable rendering of the audit trail
    feedback = _Place("harness_feedback.json")  # newest findings and recommendations
    loop_history = _Place("meta_loop_history.json")  # cycles
    reports = _Place("reports")  # folder of reports
    suites = _Place("suites")  # folder of the user's own suites; made when the first is imported
    requests = _Place("requests")  # folder of live requests, one chain per writer
    responses = _Place("responses.sqlite3")  # answers that the gateway keeps for clients, where the settings want it
    drift = _Place("drift.json")  # how far the detectors of live traffic are; `drift-<n>.json` of worker n
    keys = _Place("gateway_keys.json")  # hashes of the gateway's API keys
    lock = _Place("lock")  # held by the one supervisor or loop that runs

    def ensure(self) -> Home:
        """Create the folder, its subfolders (mode 0700) and its .gitignore. Returns the home
        itself.

        Notes a new `.selfopt` as the user's own, so that `look_for_home` accepts it. Removes the
        temporary files of killed writers. Raises StoreError when something cannot be created, or a
        subfolder is a symbolic link.
        """
        try:
            is_new = self.root.name == FOLDER_NAME and is_empty(self.root)
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            if is_new:
                _note(self.root)
            for folder in (self.routing_versions, self.reports, self.requests):
                if folder.is_symlink():
                    raise StoreError(f"{folder} is a symbolic link, and those are not followed for writing; make it a folder")
                if folder.exists() and not folder.is_dir():
                    raise StoreError(f"{folder} is a file where a folder is needed; move it aside and repeat the command")
                folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StoreError(f"could not create the home folder {self.root}: {reason_of(error)}") from error
        clear_temporaries(self.root)
        ignore = self.root / ".gitignore"
        if not ignore.exists():
            atomic_write_text(ignore, "*\n", within=self.root)
        return self

    def check_room(self) -> None:
        """Check that files can be written to the home and to the folder of requests. Raises
        StoreError.

        It writes one to find out. Permissions do not tell: root may write anywhere, and nobody may
        write to a disk that is full or mounted read-only.
        """
        for folder in (self.root, self.requests):
            probe = temporary_name(folder / "room")
            try:
                with opened(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as descriptor:
                    try:
                        write_all(descriptor, b"x" * ROOM_BYTES)
                        os.fsync(descriptor)
                    finally:
                        probe.unlink()
            except OSError as error:
                raise StoreError(f"{folder} cannot be written, so no decision could be recorded: {reason_of(error)}") from error


def _note(root: Path) -> None:
    try:
        HomeRegister().add(root)
    except StoreError as error:
        log.warning(
            "%s could not be noted as your own, so it will be skipped next time (%s); name it with --home, or run: selfopt trust %s",
            *(escape_control(str(said)) for said in (root, error, root.parent)),
        )


@dataclass(frozen=True, slots=True)
class FoundHome:
    """The home that was found."""

    home: Home
    passed_over: tuple[Path, ...] = ()  # nearer `.selfopt` folders that this user neither made nor trusts


def find_home(explicit: Path | None, environ: Mapping[str, str], cwd: Path) -> Home:
    """Returns the home that `look_for_home` finds."""
    return look_for_home(explicit, environ, cwd).home


def look_for_home(explicit: Path | None, environ: Mapping[str, str], cwd: Path) -> FoundHome:
    """Find the home, and create nothing.

    It is the folder of `--home`, else SELFOPT_HOME, else the nearest `.selfopt` upwards from cwd,
    else the user's data folder.

    A home holds rules and keys, and a folder that came from elsewhere must not bring its own. So a
    `.selfopt` on the way upwards counts only if this user's selfopt made it in this place, or the
    user trusts it. An empty one also counts, unless the home that would be used otherwise holds
    rules or keys. One that belongs to another user never counts, except for root.

    Raises UsageError when the named folder is not a folder.
    """
    named = explicit if explicit is not None else Path(environ[VARIABLE]) if environ.get(VARIABLE) else None
    if named is not None:
        root = Path(os.path.abspath(cwd / named.expanduser()))
        if root.exists() and not root.is_dir():
            raise UsageError(f"the home {root} is not a folder; name a folder with --home or {VARIABLE}")
        return FoundHome(Home(root))
    candidates = [folder / FOLDER_NAME for folder in (cwd, *cwd.parents)]
    there = [candidate for candidate in candidates if candidate.is_dir() and _is_ours(candidate)]
    known = next((n for n, candidate in enumerate(there) if HomeRegister().knows(candidate)), len(there))
    otherwise = Home(there[known] if known < len(there) else user_folder())
    if not (otherwise.routing_config.exists() or otherwise.keys.exists()):
        empty = next((n for n in range(known) if is_empty(there[n]) and not there[n].is_symlink()), None)
        if empty is not None:
            return FoundHome(Home(there[empty]), tuple(there[:empty]))
    return FoundHome(otherwise, tuple(there[:known]))


def counts_as_home(root: Path) -> bool:
    """Returns whether a `.selfopt` may be used without being named: it is the user's own, or empty."""
    return HomeRegister().knows(root) or (is_empty(root) and not root.is_symlink())


def _is_ours(folder: Path) -> bool:
    return os.geteuid() in (0, folder.stat().st_uid)
