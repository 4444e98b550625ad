"""What this user vouches for, kept in the user's own data folder: project folders that are trusted, and homes that are the user's.

A folder that came from elsewhere (a clone, an archive) can hold whatever its maker likes, but nothing in this data folder. Every entry
is a file of its own, written whole: processes that write at the same time do not meet, and need no lock.
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
NOT_MADE_HERE = "was not made in this place by your selfopt: it was moved or copied, or is of version 0.1, or of somebody else"
"""Why a `.selfopt` does not count, after its name."""
_ID = re.compile(r"[0-9a-f]{32}")

Sha256 = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]


def user_folder() -> Path:
    """The user's own data folder for selfopt; it need not exist."""
    return Path(platformdirs.user_data_dir("selfopt", appauthor=False))


def canonical(folder: Path) -> Path:
    """The one name of a folder: symbolic links above it are resolved, it is not followed itself."""
    whole = Path(os.path.abspath(folder))
    return Path(os.path.realpath(whole.parent)) / whole.name


class TrustedFolder(BaseModel):
    """A project folder whose files may choose what only the user may choose elsewhere. files: the sha256 of each file when it was
    trusted, empty where there was none; at: when that was, in UTC."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    folder: str
    files: dict[str, Sha256]
    at: str


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
    """The trusted folders. root: where they are kept (default: the user's data folder)."""

    def __init__(self, root: Path | None = None) -> None:
        self._folder = (root or user_folder()) / "trusted"

    def find(self, folder: Path) -> TrustedFolder | None:
        """The entry of a folder. CorruptError, NewerSchemaError or StoreError for one that cannot be read."""
        try:
            found = read_model(self._path(folder), what="the entry of a trusted folder", model=TrustedFolder)
        except FileNotFoundError:
            return None
        return found if found.folder == _named(folder) else None

    def add(self, folder: Path, files: dict[str, str], at: str) -> None:
        """Trust a folder as these files are. StoreError when it cannot be kept."""
        _write(self._path(folder), TrustedFolder(folder=_named(folder), files=files, at=at))

    def remove(self, folder: Path) -> bool:
        """Trust it no more; False where it was not trusted."""
        return _remove(self._path(folder))

    def all(self) -> Iterator[TrustedFolder]:
        """Every entry. Raises as `find`."""
        for path in sorted(self._folder.glob("*.json")):
            with contextlib.suppress(FileNotFoundError):
                yield read_model(path, what="the entry of a trusted folder", model=TrustedFolder)

    def _path(self, folder: Path) -> Path:
        return self._folder / f"{hashlib.sha256(_named(folder).encode('utf-8', 'surrogateescape')).hexdigest()}.json"


def _named(folder: Path) -> str:
    """A folder's real path as text that JSON can hold."""
    return os.fsencode(os.path.realpath(folder)).decode("utf-8", "backslashreplace")


class HomeRegister:
    """The homes that count where they are found on the way upwards: a random id in the home, and an entry of that id here with the
    home's place. A copy has the id and another place; what came from elsewhere has no id that is known here."""

    def __init__(self, root: Path | None = None) -> None:
        self._folder = (root or user_folder()) / "homes"

    def knows(self, home: Path) -> bool:
        """Whether this home, at this place, is the user's. A symbolic link never is."""
        home_id = _id_of(home)
        if home_id is None or home.is_symlink():
            return False
        try:
            return read_model(self._path(home_id), what="the entry of a home", model=_KnownHome).root == _place(home)
        except (FileNotFoundError, StoreError):
            return False

    def add(self, home: Path) -> None:
        """Note a home that is being made; another process may be doing the same. StoreError when it cannot be noted."""
        home_id = secrets.token_hex(16)
        _write(self._path(home_id), _KnownHome(root=_place(home)))
        # The entry first: an id without one counts for nothing, an entry without an id neither.
        try:
            with opened(home / ID_FILE, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as descriptor:
                write_all(descriptor, f"{home_id}\n".encode())
                os.fsync(descriptor)
        except FileExistsError:  # another process was first
            _remove(self._path(home_id))
        except OSError as error:
            raise StoreError(f"could not write {home / ID_FILE}: {reason_of(error)}") from error

    def adopt(self, home: Path) -> None:
        """Note a home that the user vouches for, under a new id: the old one may be known to whoever made it. StoreError."""
        if home.is_symlink():
            raise StoreError(f"{home} is a symbolic link, and those are not followed; name the folder itself with --home")
        home_id = secrets.token_hex(16)
        _write(self._path(home_id), _KnownHome(root=_place(home)))
        atomic_write_text(home / ID_FILE, home_id + "\n", within=home)

    def forget(self, home: Path) -> bool:
        """Vouch for it no more; False where it was not known."""
        home_id = _id_of(home)
        return self.knows(home) and home_id is not None and _remove(self._path(home_id))

    def all(self) -> list[Path]:
        """Places of the homes that are still there."""
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
    """Whether a folder is missing or holds nothing at all: a repository can't ship such a one."""
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
