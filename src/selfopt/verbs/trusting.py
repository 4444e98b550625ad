"""`trust`: makes a project's present files count, or stops them from counting."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from selfopt.errors import UsageError
from selfopt.home import Home, HomeRegister, TrustStore, escape_control
from selfopt.records import utc_now
from selfopt.settings import Project, read_settings

HOME_NAME = ".selfopt"
FILE_NAMES = ("selfopt.toml", ".env")


@dataclass(frozen=True, slots=True)
class TrustProposal:
    """What trusting a folder would make count.

    Attributes:
        project: None when the folder has no files of settings.
        home: the folder's `.selfopt`; None without one or when it is the user's already.
        lines: what would count, for people, with control characters escaped.
    """

    folder: Path
    project: Project | None
    home: Path | None
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrustRow:
    """One trusted folder or home. files: what changed, in the state `changed`."""

    kind: Literal["project", "home"]
    folder: str
    at: str
    state: Literal["in force", "changed", "gone"]
    files: tuple[str, ...]


def propose_trust(folder: Path | None, environ: Mapping[str, str] | None = None, cwd: Path | None = None) -> TrustProposal:
    """Return what a folder asks to have trusted. Trusts nothing yet.

    Args:
        folder: None for the nearest project upwards.

    Raises:
        UsageError: there is nothing to trust.
        SettingsError: a file cannot be used, or sets what no project may set.
    """
    environ = os.environ if environ is None else environ
    cwd = Path.cwd() if cwd is None else cwd
    chosen = _nearest(cwd) if folder is None else Path(os.path.abspath(cwd / folder.expanduser()))
    if not chosen.is_dir():
        raise UsageError(f"{chosen} is not a folder; name the folder of a project")
    root = chosen / HOME_NAME
    home = root if root.is_dir() and not HomeRegister().knows(root) else None
    there = [name for name in FILE_NAMES if (chosen / name).is_file()]
    project = read_settings(environ, chosen, as_trusted=True).project if there else None
    if project is not None and project.folder != chosen:
        project = None
    if project is None and home is None:
        if root.is_dir():
            raise UsageError(f"{root} is yours and counts already; there is nothing to trust")
        raise UsageError(f"{chosen} has neither a selfopt.toml or .env of a project nor a {HOME_NAME}; there is nothing to trust")
    lines = [f"{a.file.name}: {a.whole}" for a in project.asked] if project is not None else []
    if project is not None:
        lines += [
            f"file: {escape_control(n)}{'' if d else ' (not there)'}" for n, d in project.digests.items() if n not in FILE_NAMES
        ]
    if home is not None:
        lines.append(f"home: {escape_control(str(home))}, with its rules, keys and suites: {_told(Home(home))}")
    return TrustProposal(chosen, project, home, tuple(lines))


def accept_trust(proposal: TrustProposal) -> None:
    """Trust a folder exactly as it was shown. StoreError when that cannot be written."""
    if proposal.home is not None:
        HomeRegister().adopt(proposal.home)
    if proposal.project is not None:
        TrustStore().add(proposal.folder, dict(proposal.project.digests), utc_now())


def withdraw_trust(folder: Path, cwd: Path | None = None) -> Path:
    """Stop trusting a folder and return its path. UsageError when it was not trusted."""
    chosen = Path(os.path.abspath((Path.cwd() if cwd is None else cwd) / folder.expanduser()))
    home = chosen if chosen.name == HOME_NAME else chosen / HOME_NAME
    removed = TrustStore().remove(chosen)
    if not (HomeRegister().forget(home) or removed):
        raise UsageError(f"{chosen} is not trusted; see selfopt trust --list")
    return chosen


def trusted_folders(environ: Mapping[str, str] | None = None) -> list[TrustRow]:
    """List the trusted project folders and the user's homes that are found on the way upwards."""
    environ = os.environ if environ is None else environ
    rows = []
    for entry in TrustStore().all():
        folder = Path(entry.folder)
        changed: tuple[str, ...] = ()
        state: Literal["in force", "changed", "gone"] = "in force"
        project = read_settings(environ, folder, forgiving=True).project if folder.is_dir() else None
        if project is None or project.folder != folder:
            state = "gone"
        elif project.state != "trusted":
            state, changed = "changed", project.changed
        rows.append(TrustRow("project", entry.folder, entry.at, state, changed))
    return rows + [TrustRow("home", str(home), "", "in force", ()) for home in HomeRegister().all()]


def _nearest(cwd: Path) -> Path:
    for folder in (cwd, *cwd.parents):
        if (
            (folder / "selfopt.toml").is_file()
            or (folder / HOME_NAME).is_dir()
            or (folder == cwd and (folder / ".env").is_file())
        ):
            return folder
    raise UsageError(f"no selfopt.toml, .env or {HOME_NAME} in {cwd} or above it; name the folder to trust")


def _told(home: Home) -> str:
    has = {"rules": home.routing_config, "keys of the gateway": home.keys, "measurements": home.ledger, "suites": home.suites}
    return ", ".join(name for name, path in has.items() if path.exists()) or "nothing yet"
