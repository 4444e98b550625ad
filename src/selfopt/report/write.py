"""Writes the reports into the home folder."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from selfopt.home import ChainedFile, Home, atomic_write_text
from selfopt.records import Ban, Ledger, LedgerFault, RoutingConfig, Suite

from .costs import CostFigures
from .gather import gather
from .html import report_html
from .learnings import learnings_text
from .prompt_rows import prompt_lists
from .race_figures import Course
from .results import cycle_results, history, warm_up_results
from .standings import standings
from .summary import report_text

RENDERING = "written from the ledger, which alone counts; `selfopt report` writes it anew"
"""What each JSON result says about itself."""

logger = logging.getLogger("selfopt.report")


@dataclass(frozen=True, slots=True)
class Beside:
    """What the reports tell beside what the ledger and the rules say.

    Attributes:
        courses: of the newest races, for the figures.
        faults: what of the ledger is not as it was committed.
        bans: what was taken back and is not tried again.
        costs: what requests cost; None to leave costs out.
        set_names: what the suites call the tool sets that rules are about, by content name.
        suites: that are at hand, by their content ids, for the prompts.
    """

    courses: Sequence[Course] = ()
    faults: Sequence[LedgerFault] = ()
    bans: Sequence[Ban] = ()
    costs: CostFigures | None = None
    set_names: Mapping[str, str] = field(default_factory=dict)
    suites: Mapping[str, Suite] = field(default_factory=dict)


def write_reports(ledger: Ledger, home_paths: Home, config: RoutingConfig | None, beside: Beside | None = None) -> list[Path]:
    """Write every report, each file whole, and return their paths.

    The warm-up results are left out while no warm-up has been measured.

    Raises:
        CorruptError: the ledger or the audit trail cannot be read.
        StoreError: a file cannot be written.
    """
    beside = beside or Beside()
    faults = tuple(beside.faults)
    home_paths.ensure()
    _say_if_damaged(home_paths.loop_history)
    audit = ChainedFile(home_paths.audit_trail).records() if home_paths.audit_trail.exists() else ()
    data = replace(
        gather(ledger, config, audit), faults=faults, bans=tuple(beside.bans), costs=beside.costs, set_names=beside.set_names
    )
    texts: dict[Path, str] = {
        home_paths.reports / "SELF_OPTIMIZING_REPORT.md": report_text(data),
        home_paths.reports / "META_LEARNINGS.md": learnings_text(data),
        home_paths.reports / "SELF_OPTIMIZING_REPORT.html": report_html(
            data, beside.courses, prompt_lists(ledger, standings(data), beside.suites)
        ),
    }
    for cycle in data.cycles:
        texts[home_paths.reports / f"CYCLE_{cycle.number}_RESULTS.json"] = _rendering(cycle_results(cycle), faults)
    if (pair := data.warm_up) is not None:
        results = warm_up_results(pair.cold, pair.warm, validation=pair.validation, experiment=pair.experiment)
        texts[home_paths.reports / "WARM_UP_VALIDATION_RESULTS.json"] = _rendering(results, faults)
    texts[home_paths.loop_history] = _rendering(history(ledger), faults)
    for path, text in texts.items():
        atomic_write_text(path, text)
    return list(texts)


def _say_if_damaged(path: Path) -> None:
    """Warns about a damaged history.

    It is written anew from the ledger, so nothing is lost. But a disk or a program may be faulty.
    """
    try:
        known = json.loads(path.read_bytes())
    except FileNotFoundError:
        return
    except (OSError, ValueError, RecursionError):
        known = None
    if not isinstance(known, dict) or not isinstance(known.get("cycles"), list):
        logger.warning("%s was damaged; it is written anew from the ledger, and nothing is lost", path)


def _rendering(value: dict[str, Any], faults: Sequence[LedgerFault]) -> str:
    """The text of a result, with a note of what it is, and the faults of the ledger if there are
    any.
    """
    damage = {"faults": [fault.model_dump(mode="json") for fault in faults]} if faults else {}
    return json_text({**value, "rendering": RENDERING, **damage})


def json_text(value: dict[str, Any]) -> str:
    """JSON for people and programs: indented, ASCII, with the keys in the given order."""
    return json.dumps(value, indent=2, allow_nan=False) + "\n"
