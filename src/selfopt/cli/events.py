"""Prints what the loop is doing, in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .common import LiveLine, console, say

if TYPE_CHECKING:
    from selfopt.verbs.looping import LoopEvent


STYLES = {
    "cycle": "bold",
    "promoted": "bold blue",
    "finding": "dark_orange",
    "enforcement": "bold",
    "remedy": "blue",
    "finished": "bold",
}
MARKS = {
    "cycle": "==",
    "plan": "try",
    "finding": "found",
    "decision": "gate",
    "promoted": "PROMOTED",
    "recommendation": "advice",
    "remedy": "check",
    "enforcement": "rules",
    "finished": "==",
    "resume": "resume",
    "note": "--",
}
INDENT = 11


class EventPrinter:
    """One paragraph per event, the live line cleared before it; a decision with the gates that decided it (every_gate: all)."""

    def __init__(self, live: LiveLine, enabled: bool = True, every_gate: bool = False) -> None:
        self._live = live
        self._enabled = enabled
        self._every_gate = every_gate
        self._console = console()

    def __call__(self, event: LoopEvent) -> None:
        """Print one event."""
        if not self._enabled:
            return
        self._live.clear()
        mark = MARKS.get(event.kind, event.kind)
        say(self._console, f"{mark:>9}  {event.text}", hang=INDENT, style=STYLES.get(event.kind, ""))
        from selfopt.records import Decision
        from selfopt.words.decisions import decision_lines

        decision = event.record
        for line in decision_lines(decision, every_gate=self._every_gate) if isinstance(decision, Decision) else ():
            say(self._console, line.strip(), indent=INDENT, hang=INDENT + 2, style="dim")
