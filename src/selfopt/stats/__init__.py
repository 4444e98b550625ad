"""Pure functions: intervals, patterns in outcome rows, Bayes factors, and evidence by betting."""

from .alpha import AlphaSchedule, check_alpha, elond_level, fwer_level, history_share, share_of_cycle
from .beta import bisected, incomplete_beta, student_t_quantile, student_t_two_sided
from .betting import PROMPT_BETS, Bets, EProcess, Pairs, confidence_sequence, log_growths, log_mean_exp, non_inferiority
from .changes import FALSE_ALARM_EVERY, RISES, RiseDetector
from .classify import CALLING_POSTERIOR, ORDER_SIGNIFICANCE, Classification, ClassifiedRow, classify_rows
from .clusters import Estimate, Statistic, Sums, holm, jackknife, paired_jackknife
from .drift import ESCALATIONS_BORDER, OUTCOMES_BORDER, escalations_detector, outcomes_detector
from .intervals import Interval, clopper_pearson_interval, clopper_pearson_upper, wilson_interval
from .logistic import logistic, non_negative_logistic
from .money import break_even, cascade_cost
from .order import cold_order_p, drift_order_p
from .patterns import MAX_COLD_RUNS, MIN_PATTERN_RUNS, RowPattern, cold_prefix, exchangeability_p, read_row
from .planned import planned_log_e
from .planning import pairs_to_decide
from .prompts import FINAL_SHARE, PromptDifferences, mcnemar_p, prompt_evidence
from .regression import Stratum, fewer_passes_p, look_shares
from .reload import CONFIRMING_BAYES_FACTOR, CONFIRMING_RUNS, rank_p, reload_log_bayes_factor, suite_log_bayes_factor
from .row_models import PassRow, cold_length
from .served import SET_BETS, bad_share_p, least_served, lowest_shown, prompts_factor, sets_factor, sets_log_e

__all__ = [
    "CALLING_POSTERIOR",
    "CONFIRMING_BAYES_FACTOR",
    "CONFIRMING_RUNS",
    "ESCALATIONS_BORDER",
    "FALSE_ALARM_EVERY",
    "FINAL_SHARE",
    "MAX_COLD_RUNS",
    "MIN_PATTERN_RUNS",
    "ORDER_SIGNIFICANCE",
    "OUTCOMES_BORDER",
    "PROMPT_BETS",
    "RISES",
    "SET_BETS",
    "AlphaSchedule",
    "Bets",
    "Classification",
    "ClassifiedRow",
    "EProcess",
    "Estimate",
    "Interval",
    "Pairs",
    "PassRow",
    "PromptDifferences",
    "RiseDetector",
    "RowPattern",
    "Statistic",
    "Stratum",
    "Sums",
    "bad_share_p",
    "bisected",
    "break_even",
    "cascade_cost",
    "check_alpha",
    "classify_rows",
    "clopper_pearson_interval",
    "clopper_pearson_upper",
    "cold_length",
    "cold_order_p",
    "cold_prefix",
    "confidence_sequence",
    "drift_order_p",
    "elond_level",
    "escalations_detector",
    "exchangeability_p",
    "fewer_passes_p",
    "fwer_level",
    "history_share",
    "holm",
    "incomplete_beta",
    "jackknife",
    "least_served",
    "log_growths",
    "log_mean_exp",
    "logistic",
    "look_shares",
    "lowest_shown",
    "mcnemar_p",
    "non_inferiority",
    "non_negative_logistic",
    "outcomes_detector",
    "paired_jackknife",
    "pairs_to_decide",
    "planned_log_e",
    "prompt_evidence",
    "prompts_factor",
    "rank_p",
    "read_row",
    "reload_log_bayes_factor",
    "sets_factor",
    "sets_log_e",
    "share_of_cycle",
    "student_t_quantile",
    "student_t_two_sided",
    "suite_log_bayes_factor",
    "wilson_interval",
]
