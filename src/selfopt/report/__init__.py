"""Reports for people and programs: Markdown, HTML, JSON and terminal tables. Decides nothing."""

from .check_outputs import (
    SUMMARY_MAX_BYTES,
    check_annotations,
    check_junit,
    check_markdown,
    unjudged_annotation,
    unjudged_junit,
    unjudged_markdown,
)
from .closing import BeforeAfter, closing_lines, closing_table, look_next_lines
from .comparison import comparison_markdown, comparison_table
from .differences import differences_markdown, differences_text
from .escalation import served_tables
from .escape import safe_markdown, safe_terminal, safe_text
from .gather import ReportData, WarmUpPair, find_warm_up_pairs, gather
from .html import escalation_html, report_html
from .race_figures import Course, CoursePoint
from .results import cycle_results, history, warm_up_results
from .simulated_escalation import simulated_escalation_tables
from .simulation import cycles_table, simulation_table
from .terminal import (
    decision_panel,
    evaluation_table,
    findings_list,
    outcome_letters,
    outcome_table,
    to_text,
)
from .write import Beside, write_reports

__all__ = [
    "SUMMARY_MAX_BYTES",
    "BeforeAfter",
    "Beside",
    "Course",
    "CoursePoint",
    "ReportData",
    "WarmUpPair",
    "check_annotations",
    "check_junit",
    "check_markdown",
    "closing_lines",
    "closing_table",
    "comparison_markdown",
    "comparison_table",
    "cycle_results",
    "cycles_table",
    "decision_panel",
    "differences_markdown",
    "differences_text",
    "escalation_html",
    "evaluation_table",
    "find_warm_up_pairs",
    "findings_list",
    "gather",
    "history",
    "look_next_lines",
    "outcome_letters",
    "outcome_table",
    "report_html",
    "safe_markdown",
    "safe_terminal",
    "safe_text",
    "served_tables",
    "simulated_escalation_tables",
    "simulation_table",
    "to_text",
    "unjudged_annotation",
    "unjudged_junit",
    "unjudged_markdown",
    "warm_up_results",
    "write_reports",
]
