"""What an importer is, what it is asked for, and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from selfopt.records import Phase, Suite, ToolDefinition


@dataclass(frozen=True, slots=True)
class ImportOption:
    """An option of one importer's command.

    flag: as it is typed, such as `--provider`. key: under which `ImportRequest.options` holds its
    values. help: one sentence. metavar: what stands for the value in the help. multiple: whether it
    may be repeated.
    """

    flag: str
    key: str
    help: str
    metavar: str | None = None
    multiple: bool = False


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What somebody wants imported.

    source: the file or folder. name: for the suite; an importer of many names its own. phase: None
    where the prompts should tell. tools: offered instead of those of the file. options: the values
    of the importer's own options by key; a key is missing where nothing was given.
    """

    source: Path
    name: str = ""
    phase: Phase | None = None
    tools: tuple[ToolDefinition, ...] | None = None
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Imported:
    """The suites that an importer made. warnings: what it left out, one line each."""

    suites: tuple[Suite, ...]
    warnings: tuple[str, ...] = ()


@runtime_checkable
class Importer(Protocol):
    """Makes suites of files in another form. It executes nothing that they hold.

    about: what `--help` says of it, the first sentence in lists. takes: which files, in one
    sentence. many: whether it makes several suites, with names of their own; these may replace
    older ones when the user says so. options: its own, beside those that all importers have.
    """

    about: str
    takes: str
    many: bool
    options: tuple[ImportOption, ...]

    def read(self, asked: ImportRequest) -> Imported:
        """Read the files.

        Returns:
            One suite named `asked.name`, or with `many` any number of them; the same for the same files.

        Raises:
            SuiteError: the files cannot be used. Its one line names the file, the place and the fix.
        """
