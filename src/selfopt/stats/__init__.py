"""Pure functions: intervals of shares, reading of outcome rows, the Bayes factor of a reload experiment."""

from .intervals import Interval, clopper_pearson_interval, clopper_pearson_upper, wilson_interval
from .patterns import MAX_COLD_RUNS, MIN_PATTERN_RUNS, RowPattern, cold_prefix, exchangeability_p, read_row
from .reload import CONFIRMING_BAYES_FACTOR, reload_log_bayes_factor

__all__ = [
    "CONFIRMING_BAYES_FACTOR",
    "MAX_COLD_RUNS",
    "MIN_PATTERN_RUNS",
    "Interval",
    "RowPattern",
    "clopper_pearson_interval",
    "clopper_pearson_upper",
    "cold_prefix",
    "exchangeability_p",
    "read_row",
    "reload_log_bayes_factor",
    "wilson_interval",
]
