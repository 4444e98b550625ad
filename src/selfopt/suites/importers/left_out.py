"""What an import leaves out because it is no data: code, models that grade, media, servers of others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from selfopt.errors import SuiteError
from selfopt.suites.check import printable
from selfopt.suites.warn.base import listed


class NotImportedError(SuiteError):
    """Something that is lawful in its format but can't be imported. `what` names it without a place."""

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.what = what


@dataclass(slots=True)
class LeftOut:
    """Counts what is left out. With `strict`, the first of it refuses the file.

    Attributes:
        strict: whether anything left out is an error.
        asserts: the numbers of the tests by the sort of assert that was left out of them.
        tests: the numbers of the tests that were left out, by the reason.
        others: what else was left out.
    """

    strict: bool = False
    asserts: dict[str, list[int]] = field(default_factory=dict)
    tests: dict[str, list[int]] = field(default_factory=dict)
    others: dict[str, None] = field(default_factory=dict)

    def test(self, number: int, error: NotImportedError) -> None:
        """Leave out a test."""
        self.tests.setdefault(error.what, []).append(number)

    def other(self, error: NotImportedError) -> None:
        """Leave out anything else."""
        if self.strict:
            raise error
        self.others.setdefault(str(error))

    def take_asserts(self, number: int, kinds: list[str]) -> None:
        """Leave out the asserts of a test."""
        for kind in kinds:
            found = self.asserts.setdefault(kind, [])
            if number not in found:
                found.append(number)

    def refuse(self, source: str, known: tuple[str, ...]) -> None:
        """With `strict`, raise SuiteError if anything was left out: all asserts at once, else the first test."""
        if self.strict and self.asserts:
            shown = "; ".join(_with_tests(self.asserts))
            raise SuiteError(f"{source}: asserts that cannot be imported: {shown}; state tool calls with {', '.join(known)}")
        if self.strict and self.tests:
            raise SuiteError(f"{source}: cannot be imported: {self.first()}")

    def warnings(self) -> Iterator[str]:
        """One line for each sort of thing."""
        if self.asserts:
            yield f"asserts left out: {listed(_with_tests(self.asserts), 12)}"
        for what in _with_tests(self.tests):
            yield f"left out: {what}"
        yield from (f"left out: {other}" for other in self.others)

    def why(self) -> str:
        """Why nothing is left: the first reason, and the asserts that were left out."""
        asserts = f"; asserts left out: {listed(_with_tests(self.asserts))}" if self.asserts else ""
        return f"{self.first()}{asserts}"

    def first(self) -> str:
        """The first reason for which a test or a file was left out; empty if none was."""
        return next(iter(_with_tests(self.tests)), next(iter(self.others), ""))


def _with_tests(found: dict[str, list[int]]) -> Iterator[str]:
    for what, numbers in found.items():
        shown = listed(map(str, numbers))
        yield f"{printable(what)} (test{'s' if len(numbers) > 1 else ''} {shown})"
