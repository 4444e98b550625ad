"""What this user trusts: project folders, and the homes that this user's selfopt made.

The entries are in the user's own data folder. A folder that came from elsewhere, such as a clone or
an archive, can hold anything, but it cannot add an entry here. Each entry is a file of its own that
is replaced whole, so processes need no lock.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, Field

from selfopt.errors import StoreError

from .files import atomic_write_text, is_regular, opened, read_model, reason_of, write_all

ID_FILE = "home_id"
NOT_MADE_HERE = "was not made in this place by your selfopt: it was moved or copied, or version 0.1 or somebody else made it"
"""Why a `.selfopt` does not count as a home. The text follows its name."""
_ID = re.compile(r"[0-9a-f]{32}")

Sha256 = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]


def user_folder() -> Path:
    """Returns the user's own data folder for selfopt. It may not exist."""
    return Path(platformdirs.user_data_dir("selfopt", appauthor=False))


def canonical(folder: Path) -> Path:
    """Returns the one name of a folder.

    Resolves symbolic links above it, but does not follow the folder itself.
    """
    whole = Path(os.path.abspath(folder))
    return Path(os.path.realpath(whole.parent)) / whole.name


class TrustedFolder(BaseModel):
    """A project folder whose files may set what elsewhere only the user may set."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    folder: str
    files: dict[str, Sha256]  # the sha256 of each file at that time; "" when there was none
    at: str  # when it was trusted, UTC


class _KnownHome(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    root: str


def _write(path: Path, entry: BaseModel) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"could not create {path.parent}: {reason_of(error)}") from error
    atomic_write_text(path, entry.model_dump_json(indent=2) + "\n", within=path.parent)


def _remove(path: Path) -> bool:
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise StoreError(f"could not remove {path}: {reason_of(error)}") from error
    return True


class TrustStore:
    """The trusted project folders. root: where the entries are (default: the user's data folder)."""

    def __init__(self, root: Path | None = None) -> None:
        self._folder = (root or user_folder()) / "trusted"

    def find(self, folder: Path) -> TrustedFolder | None:
        """Returns the entry of a folder, or None.

        Raises like `read_model` when the entry cannot be read.
        """
        try:
            found = read_model(self._path(folder), what="the entry of a trusted folder", model=TrustedFolder)
        except FileNotFoundError:
            return None
        return found if found.folder == _named(folder) else None

    def add(self, folder: Path, files: dict[str, str], at: str) -> None:
        """Trust a folder with its files as they are.

        Raises StoreError when the entry cannot be written.
        """
        _write(self._path(folder), TrustedFolder(folder=_named(folder), files=files, at=at))

    def remove(self, folder: Path) -> bool:
        """Stop trusting a folder. Returns whether it was trusted."""
        return _remove(self._path(folder))

    def all(self) -> Iterator[TrustedFolder]:
        """Yields every entry. Raises like `find`."""
        for path in sorted(self._folder.glob("*.json")):
            with contextlib.suppress(FileNotFoundError):
                yield read_model(path, what="the entry of a trusted folder", model=TrustedFolder)

    def _path(self, folder: Path) -> Path:
        return self._folder / f"{hashlib.sha256(_named(folder).encode('utf-8', 'surrogateescape')).hexdigest()}.json"


def _named(folder: Path) -> str:
    """Returns a folder's real path, as text that JSON can hold."""
    return os.fsencode(os.path.realpath(folder)).decode("utf-8", "backslashreplace")


class HomeRegister:
    """The homes that are this user's own, and so count without being named.

    Each home holds a random id, and an entry here maps the id to the home's path. A copy of a home
    has a known id at another path, and a home that came from elsewhere has no known id: neither
    counts.
    """

    def __init__(self, root: Path | None = None) -> None:
        self._folder = (root or user_folder()) / "homes"

    def knows(self, home: Path) -> bool:
        """Returns whether the home at this path is the user's own. A symbolic link never is."""
        home_id = _id_of(home)
        if home_id is None or home.is_symlink():
            return False
        try:
            return read_model(self._path(home_id), what="the entry of a home", model=_KnownHome).root == _place(home)
        except (FileNotFoundError, StoreError):
            return False

    def add(self, home: Path) -> None:
        """Note a home that is being made, perhaps by two processes at once. Raises StoreError."""
        home_id = secrets.token_hex(16)
        _write(self._path(home_id), _KnownHome(root=_place(home)))
        # The entry comes first. An entry without its id in the home has no effect, and neither has an id without its entry.
        try:
            with opened(home / ID_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as descriptor:
                write_all(descriptor, f"{home_id}\n".encode())
                os.fsync(descriptor)
        except FileExistsError:  # another process was first
            _remove(self._path(home_id))
        except OSError as error:
            raise StoreError(f"could not write {home / ID_FILE}: {reason_of(error)}") from error

    def adopt(self, home: Path) -> None:
        """Note a home that the user trusts.

        It gets a new id, because its maker may know the old one. Raises StoreError.
        """
        if home.is_symlink():
            raise StoreError(f"{home} is a symbolic link, and those are not followed; name the folder itself with --home")
        home_id = secrets.token_hex(16)
        _write(self._path(home_id), _KnownHome(root=_place(home)))
        atomic_write_text(home / ID_FILE, home_id + "\n", within=home)

    def forget(self, home: Path) -> bool:
        """Stop trusting a home. Returns whether it was known."""
        home_id = _id_of(home)
        return self.knows(home) and home_id is not None and _remove(self._path(home_id))

    def all(self) -> list[Path]:
        """Returns the paths of the noted homes that still exist."""
        found = []
        for path in sorted(self._folder.glob("*.json")):
            with contextlib.suppress(FileNotFoundError, StoreError):
                home = Path(read_model(path, what="the entry of a home", model=_KnownHome).root)
                if _id_of(home) == path.stem:
                    found.append(home)
        return sorted(found)

    def _path(self, home_id: str) -> Path:
        return self._folder / f"{home_id}.json"


def is_empty(home: Path) -> bool:
    """Returns whether a folder is missing or empty. No repository can contain such a folder."""
    try:
        return not os.listdir(home)
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _place(home: Path) -> str:
    return os.fsencode(canonical(home)).decode("utf-8", "backslashreplace")


def _id_of(home: Path) -> str | None:
    try:
        with opened(home / ID_FILE, os.O_RDONLY) as descriptor:
            text = os.read(descriptor, 64).decode("ascii", "replace").strip() if is_regular(descriptor) else ""
    except OSError:
        return None
    return text if _ID.fullmatch(text) else None
