"""The interface of importers: what they get and what they return."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from selfopt.records import Phase, Suite, ToolDefinition


@dataclass(frozen=True, slots=True)
class ImportOption:
    """An option of one importer's command.

    Attributes:
        flag: the flag as users type it, such as `--provider`.
        key: the key of its values in `ImportRequest.options`.
        help: one sentence.
        metavar: the placeholder for the value in the help.
        multiple: whether it may be repeated.
        is_flag: whether it takes no value; given, its value is the text "true".
    """

    flag: str
    key: str
    help: str
    metavar: str | None = None
    multiple: bool = False
    is_flag: bool = False


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """What a user wants to import.

    Attributes:
        source: the file or folder.
        name: the name of the suite. An importer that makes many chooses their names itself.
        phase: the phase, or None to derive it from the prompts.
        tools: the tools to offer instead of those in the file.
        options: the values of the importer's own options by key, without options not given.
    """

    source: Path
    name: str = ""
    phase: Phase | None = None
    tools: tuple[ToolDefinition, ...] | None = None
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Imported:
    """The suites that an importer made. `warnings` say what it left out, in one line each."""

    suites: tuple[Suite, ...]
    warnings: tuple[str, ...] = ()


@runtime_checkable
class Importer(Protocol):
    """Makes suites from files in another form. Executes nothing in these files.

    Attributes:
        about: the text of `--help`. Lists show its first sentence.
        takes: the files that it reads, in one sentence.
        many: whether it makes several suites and chooses their names. Users may then ask to replace
            older ones.
        options: its own options, besides those of all importers.
    """

    about: str
    takes: str
    many: bool
    options: tuple[ImportOption, ...]

    def read(self, asked: ImportRequest) -> Imported:
        """Read the files.

        Returns:
            One suite named `asked.name`, or with `many` any number. The same files give the same
            suites.

        Raises:
            SuiteError: the files can't be used. The message names the file, the place and the fix.
        """
