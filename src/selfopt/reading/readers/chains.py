"""Names the family that writes marks, by what stands before and behind them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from selfopt.reading.family import Family
from selfopt.records import remembered

from .marks import Mark
from .scan import Body, Scan

HARMONY = re.compile(r"(?:<\|start\|>\s*+)?(?:assistant)?+\s*+(?:<\|channel\|>\s*+)?(?:commentary|analysis|comment)?\s*+\Z")
"""The head of a harmony message before its recipient."""

_NAME = re.compile(r"(?:function\s*+<[^<>\n]{1,40}+>)?+[\w./\-]{0,256}+")
LOOK_BACK = 96  # characters before a mark that may belong to it


class MarkChain:
    """Opening marks one behind the other."""

    def __init__(self) -> None:
        self.start = 0
        self.end = -1
        self._marks: list[Mark] = []

    @property
    def is_named(self) -> bool:
        """Whether the last mark has a name."""
        return bool(self._marks) and self._marks[-1].named

    @property
    def is_special(self) -> bool:
        """Whether it holds a token that no text holds."""
        return any(mark.special or mark.piece == "to=" for mark in self._marks)

    def add(self, scan: Scan, found: re.Match[str], mark: Mark) -> None:
        """Add the next mark, or begin anew if something else stands before it."""
        between = scan.text[self.end : found.start()] if 0 <= self.end <= found.start() <= self.end + 64 else "x"
        if between.strip() not in ("", "function", "call:", "]<]minimax[>["):
            self._marks = []
            self.start = found.start()
            if mark.piece == "to=":
                before = HARMONY.search(scan.text, max(0, found.start() - LOOK_BACK), found.start())
                self.start = before.start() if before is not None else found.start()
        self.end = found.end()
        self._marks.append(mark)

    def family(self, scan: Scan, found: re.Match[str], body: Body, end: int) -> Family:
        """The family that writes these marks and such a body."""
        families = self._marks[-1].families
        if len(families) == 1:
            return families[0]
        after = scan.text[found.end() : found.end() + 24].lstrip()
        listed, addressed, tagged = map(after.startswith, ("[", "functions.", "function<"))
        closing, earlier = scan.text[body.end : end], self._marks[:-1]

        def points(family: Family) -> int:
            form = _form_of(family)
            return (
                2 * sum([family in mark.families for mark in earlier])
                + 8 * (family.body == body.form)
                + 8 * (form.named == body.named)
                + 2 * (form.listed == listed)
                + 2 * any(mark in closing for mark in form.closing)
                + (form.named and _stands_beside(scan.text, found.end(), form.behind))
                + (form.addressed == addressed)
                + after.startswith(form.parameter)
                + (form.tagged == tagged)
            )

        # The families that others took their marks from come later in the table.
        return max(reversed(families), key=points)


@dataclass(frozen=True, slots=True)
class _Form:
    """What of a family's marks is compared."""

    named: bool
    behind: str
    listed: bool
    closing: tuple[str, ...]
    addressed: bool
    parameter: str
    tagged: bool


@remembered
def _form_of(family: Family) -> _Form:
    before, named, behind = family.marks[0].partition("{name}")
    return _Form(
        named=bool(named),
        behind=behind,
        listed=family.listed == "always",
        closing=tuple(filter(None, map(str.strip, (family.marks[1], family.around[1])))),
        addressed=before.endswith("functions."),
        parameter=family.parameter[0].partition("{key}")[0][:12],
        tagged="function<" in before,
    )


def _stands_beside(text: str, at: int, after: str) -> bool:
    """Whether the name here is followed by the text that its family writes behind names."""
    end = _NAME.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too
    return text.startswith(after.partition("{")[0], end) if after else not text.startswith("\n", end)
