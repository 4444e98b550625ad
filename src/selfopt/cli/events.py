"""Prints what the loop is doing, in plain words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .common import LiveLine, console

if TYPE_CHECKING:
    from selfopt.app import LoopEvent

__all__ = ["EventPrinter"]

STYLES = {
    "cycle": "bold",
    "promoted": "bold green",
    "decision": "",
    "finding": "yellow",
    "enforcement": "bold",
    "remedy": "green",
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


class EventPrinter:
    """Writes one line per event, the live line cleared before it; a decision with its deciding gates."""

    def __init__(self, live: LiveLine, enabled: bool = True) -> None:
        self._live = live
        self._enabled = enabled
        self._console = console()

    def __call__(self, event: LoopEvent) -> None:
        """Print one event."""
        if not self._enabled:
            return
        from selfopt.app import decision_lines
        from selfopt.report import safe_terminal

        self._live.clear()
        mark = MARKS.get(event.kind, event.kind)
        self._console.print(f"{mark:>9}  {safe_terminal(event.text)}", markup=False, style=STYLES.get(event.kind, ""))
        for line in decision_lines(event):
            self._console.print(f"{'':9}  {safe_terminal(line)}", markup=False, style="dim")
