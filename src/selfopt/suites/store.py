"""Writing a suite into a folder of one's own: whole, checked before it is there, found by its name afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from selfopt.errors import StoreError, SuiteError
from selfopt.home import atomic_write_text

from .check import NAME, printable
from .load import MAX_SIZE_BYTES, SUFFIXES, list_suites, parse_suite

__all__ = ["check_new_name", "store_suite"]


def check_new_name(name: str, folder: Path) -> None:
    """SuiteError when no suite of this name can be put into the folder: not a name, built in, or there already."""
    if not NAME.fullmatch(name) or name.endswith(SUFFIXES):
        raise SuiteError(
            f"{printable(name)!r} cannot be a suite's name; use up to 64 letters, digits, '_', '-', '.', without a file's suffix"
        )
    if name in list_suites():
        raise SuiteError(f"suite {name} is built in; choose another name")
    for suffix in SUFFIXES:
        if (folder / f"{name}{suffix}").exists():
            raise SuiteError(f"suite {name} is there already ({folder / name}{suffix}); choose another name, or remove that file")


def store_suite(folder: Path, name: str, text: str, *, suffix: Literal[".yaml", ".json"] = ".yaml") -> Path:
    """Put a suite's text into the folder as `NAME.yaml` or `NAME.json`; its path.

    Nothing is written unless the text is a usable suite of that name and size, and nothing is ever replaced: SuiteError.
    StoreError when it cannot be written.
    """
    check_new_name(name, folder)
    size = len(text.encode("utf-8", "replace"))
    if size > MAX_SIZE_BYTES:
        raise SuiteError(f"suite {name} would have {size} bytes, at most {MAX_SIZE_BYTES} are read; import it in parts")
    suite = parse_suite(text, source=f"suite {name}")
    if suite.name != name:
        raise SuiteError(f"suite {name}: gives itself the name {printable(suite.name)!r}; make them the same")
    path = folder / f"{name}{suffix}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        atomic_write_text(path, text, within=folder.parent, replace=False)
    except FileExistsError:
        raise SuiteError(f"suite {name} is there already ({path}); choose another name, or remove that file") from None
    except OSError as error:
        raise StoreError(f"could not make the folder {folder}: {error.strerror}; check its permissions") from error
    return path
