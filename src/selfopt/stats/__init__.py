"""Pure functions: intervals of shares and of figures over clusters, reading of outcome rows, the Bayes factor of a reload experiment."""

from .beta import incomplete_beta, student_t_quantile, student_t_two_sided
from .clusters import Estimate, Statistic, Sums, holm, jackknife, paired_jackknife
from .intervals import Interval, clopper_pearson_interval, clopper_pearson_upper, wilson_interval
from .patterns import MAX_COLD_RUNS, MIN_PATTERN_RUNS, RowPattern, cold_prefix, exchangeability_p, read_row
from .reload import CONFIRMING_BAYES_FACTOR, reload_log_bayes_factor

__all__ = [
    "CONFIRMING_BAYES_FACTOR",
    "MAX_COLD_RUNS",
    "MIN_PATTERN_RUNS",
    "Estimate",
    "Interval",
    "RowPattern",
    "Statistic",
    "Sums",
    "clopper_pearson_interval",
    "clopper_pearson_upper",
    "cold_prefix",
    "exchangeability_p",
    "holm",
    "incomplete_beta",
    "jackknife",
    "paired_jackknife",
    "read_row",
    "reload_log_bayes_factor",
    "student_t_quantile",
    "student_t_two_sided",
    "wilson_interval",
]
