"""What the suites call a set of tools that a rule or a threshold knows by its content."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from selfopt.errors import SuiteError, UsageError
from selfopt.home import escape_control
from selfopt.records import Calibration, Rule, tool_set_name
from selfopt.suites import list_suites
from selfopt.wiring.app import App


def set_names(app: App, rules: Iterable[Rule]) -> Mapping[str, str]:
    """The names of the tool sets that these rules are about, or were calibrated on, by content name.

    Calibrations tell what their suites call them. For others the suites are read, the home's last. A
    set that nobody names is left out.
    """
    wanted = {
        name
        for rule in rules
        for name in (
            *((rule.when.tool_set,) if rule.when is not None and rule.when.tool_set is not None else ()),
            *(rule.serve_when.tool_sets if rule.serve_when is not None else ()),
        )
    }
    known: dict[str, str] = {}
    if wanted and app.has_ledger:
        for found in app.ledger.read(Calibration):
            known.update(found.set_names)
    for suite, name, content in _of_suites(app) if wanted - known.keys() else ():
        known.setdefault(content, f"{name} of {suite}")
    return {name: known[name] for name in wanted if name in known}


def tool_set_called(app: App, named: str) -> str:
    """The content name of a tool set, typed as such or as SUITE:SET.

    Raises:
        SuiteError: the suite cannot be used.
        UsageError: it has no such set.
    """
    suite, colon, name = named.rpartition(":")
    if not colon:
        return named
    sets = app.suite(suite).tool_sets
    if name not in sets:
        listed = ", ".join(sorted(sets)[:20]) + ("" if len(sets) <= 20 else f" and {len(sets) - 20} more")
        raise UsageError(escape_control(f"{suite} has no tool set {name}; it has {listed or 'none'}", 600))
    return tool_set_name(sets[name])


def _of_suites(app: App) -> Iterator[tuple[str, str, str]]:
    """Suite, name and content name of each set. A suite that cannot be used names none."""
    reference = app.settings.suites
    for named in dict.fromkeys((*list_suites(app.home.suites), reference.atomic, reference.extended)):
        try:
            suite = app.suite(named)
        except SuiteError:
            continue
        for name, tools in suite.tool_sets.items():
            yield suite.name, name, tool_set_name(tools)
