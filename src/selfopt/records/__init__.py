"""The facts that stages hand to each other, one noun per file, and the Protocols of the seams."""

from .base import Blob, Prose, Record, canonical_json, content_hash, new_id, sha256_hex, utc_now
from .chat import (
    ChatChunk,
    ChatReply,
    ChatRequest,
    Constraint,
    FinishReason,
    LoadEvidence,
    Message,
    ReplyContent,
    Sampling,
    Timings,
    ToolCall,
    ToolDefinition,
    Usage,
)
from .check import (
    Check,
    CheckBlock,
    CheckedPrompt,
    CheckFigure,
    CheckMethod,
    CheckReason,
    CheckSettings,
    CheckSide,
    CheckStart,
    CheckVerdict,
    ComparedWith,
    Criterion,
    RecordedRow,
    RecordedState,
    UndecidedCause,
)
from .comparison import ComparedRow, Comparison, Figure, PolicyRow
from .confidence import (
    HELD_FACTS,
    BoundClaim,
    Calibration,
    ConfidenceModel,
    ConfidenceTerms,
    CurvePoint,
    ServedBound,
    ServeWhen,
    SignalName,
    Signals,
    SignalTerm,
    evidence_key,
)  # fmt: skip
from .config import EndpointConfig, PolicyThresholds, ServerKind, is_loopback
from .cycle import (
    Ban,
    BanCause,
    BanLifted,
    Baseline,
    CandidateResult,
    Cycle,
    CycleAbandoned,
    CyclePlan,
    CycleStart,
    CycleTarget,
    CycleTargetResult,
    LoopEnd,
    LoopStart,
    RemedyCheck,
    RemedyClaim,
)
from .decision import (
    Claim,
    Decision,
    EvidenceState,
    ExactDifference,
    GateResult,
    NotRaced,
    ReasonCode,
    RestraintEvidence,
    VerdictName,
)
from .escalation import Escalation, Sample, SampleUsed, ServedFigures, SetShare, WayFigures
from .evaluation import Determinism, Evaluation, MetricName, Metrics, OutcomeRow, TrivialPolicy, whole_evaluations
from .excerpts import AnswerExcerpt, Differences, PromptDifference, PromptExcerpt
from .experiment import PromptReload, WarmUpExperiment
from .figures import (
    UNKNOWN_FORMAT,
    CallInThinkingFigures,
    CapabilityLimitFigures,
    CeilingFigures,
    ColdFailuresFigures,
    DriftFigures,
    Figures,
    FindingKind,
    FlakyFigures,
    InfrastructureFigures,
    MixedCapabilityFigures,
    OtherFigures,
    RefusedFigures,
    SlowFirstCallFigures,
    TruncationFigures,
    UnreadFormatFigures,
)
from .finding import (
    Action,
    Confidence,
    Confirmation,
    Feedback,
    Finding,
    HotFailure,
    PhaseSummary,
    Recommendation,
    Remedy,
    RemedyKind,
    Requirements,
)
from .integrity import LedgerFault, LedgerReport
from .limit import FreeReason, LeftFree
from .logprobs import IMPOSSIBLE, LogProbs, TokenLogProb
from .price import Price, cost_of
from .race import (
    Ask,
    EvidenceKey,
    HoldReason,
    PromptEvidence,
    PromptTest,
    RaceBlock,
    RaceBlockDiscarded,
    RaceEnd,
    RaceEnding,
    RaceEntrant,
    RaceEvidence,
    RacePurpose,
    RaceSettings,
    RaceStanding,
    RaceStart,
    RaceState,
    StandingReason,
)
from .remember import as_kind_of, remembered
from .rule import (
    ROUTING_SCHEMA_VERSION,
    AuditRecord,
    ReasonKind,
    RouteDecision,
    RoutingConfig,
    Rule,
    RuleLimits,
    RuleReason,
    Voided,
    VoidedBy,
    schema_of,
)
from .seams import Detector, Endpoint, EnoughError, Ledger, ListsModels, ModelStatus, Proposer, Residency, SearchSpace
from .searches import (
    Capability,
    PartShare,
    ProposerRating,
    SearchBatch,
    SearchEnd,
    SearchObjective,
    SearchProposer,
    SearchStanding,
    SearchStart,
    TriedWay,
    WayEnd,
)
from .spec import Environment, Spec, WarmUp
from .spending import AlphaSpent, LookCost
from .suite import ExpectedCall, Judging, Phase, Prompt, Split, Suite
from .synthetic import AuthoredReply, DropReason, SplitBy, SyntheticPrompts
from .tool_match import NO_TOOLS, ToolMatch, ToolOffer, matches_pattern, offer_of, tool_set_name
from .trial import (
    Attempt,
    Conclusion,
    Delivery,
    Exchange,
    Fault,
    Purpose,
    Run,
    RunEnd,
    Trial,
    TrialAbandoned,
    TrialStart,
    WarmUpResult,
)
from .variant import CallFormat, ChainName, Example, Variant
from .verdict import Correction, CorrectionKind, Outcome, ParsedReply, Verdict
from .written import (
    MAX_WRITTEN_CHARS,
    MAX_WRITTEN_EXAMPLES,
    EditRefusal,
    ReflectedEdit,
    Reflection,
    RefusedEdit,
    Unanswered,
    WrittenChoice,
    WrittenPart,
)

# fmt: off
__all__ = [  # in rows, because one name a line would fill half the file
    "HELD_FACTS", "IMPOSSIBLE", "MAX_WRITTEN_CHARS", "MAX_WRITTEN_EXAMPLES", "NO_TOOLS", "ROUTING_SCHEMA_VERSION",
    "UNKNOWN_FORMAT", "Action", "AlphaSpent", "AnswerExcerpt", "Ask", "Attempt", "AuditRecord", "AuthoredReply", "Ban",
    "BanCause", "BanLifted", "Baseline", "Blob", "BoundClaim", "Calibration", "CallFormat", "CallInThinkingFigures",
    "CandidateResult", "Capability", "CapabilityLimitFigures", "CeilingFigures", "ChainName", "ChatChunk", "ChatReply",
    "ChatRequest", "Check", "CheckBlock", "CheckFigure", "CheckMethod", "CheckReason", "CheckSettings", "CheckSide",
    "CheckStart", "CheckVerdict", "CheckedPrompt", "Claim", "ColdFailuresFigures", "ComparedRow", "ComparedWith",
    "Comparison", "Conclusion", "Confidence", "ConfidenceModel", "ConfidenceTerms", "Confirmation", "Constraint",
    "Correction", "CorrectionKind", "Criterion", "CurvePoint", "Cycle", "CycleAbandoned", "CyclePlan", "CycleStart",
    "CycleTarget", "CycleTargetResult", "Decision", "Delivery", "Detector", "Determinism", "Differences", "DriftFigures",
    "DropReason", "EditRefusal", "Endpoint", "EndpointConfig", "EnoughError", "Environment", "Escalation", "Evaluation",
    "EvidenceKey", "EvidenceState", "ExactDifference", "Example", "Exchange", "ExpectedCall", "Fault", "Feedback", "Figure",
    "Figures", "Finding", "FindingKind", "FinishReason", "FlakyFigures", "FreeReason", "GateResult", "HoldReason",
    "HotFailure", "InfrastructureFigures", "Judging", "Ledger", "LedgerFault", "LedgerReport", "LeftFree", "ListsModels",
    "LoadEvidence", "LogProbs", "LookCost", "LoopEnd", "LoopStart", "Message", "MetricName", "Metrics",
    "MixedCapabilityFigures", "ModelStatus", "NotRaced", "OtherFigures", "Outcome", "OutcomeRow", "ParsedReply", "PartShare",
    "Phase", "PhaseSummary", "PolicyRow", "PolicyThresholds", "Price", "Prompt", "PromptDifference", "PromptEvidence",
    "PromptExcerpt", "PromptReload", "PromptTest", "Proposer", "ProposerRating", "Prose", "Purpose", "RaceBlock",
    "RaceBlockDiscarded", "RaceEnd", "RaceEnding", "RaceEntrant", "RaceEvidence", "RacePurpose", "RaceSettings",
    "RaceStanding", "RaceStart", "RaceState", "ReasonCode", "ReasonKind", "Recommendation", "Record", "RecordedRow",
    "RecordedState", "ReflectedEdit", "Reflection", "RefusedEdit", "RefusedFigures", "Remedy", "RemedyCheck", "RemedyClaim",
    "RemedyKind", "ReplyContent", "Requirements", "Residency", "RestraintEvidence", "RouteDecision", "RoutingConfig", "Rule",
    "RuleLimits", "RuleReason", "Run", "RunEnd", "Sample", "SampleUsed", "Sampling", "SearchBatch", "SearchEnd",
    "SearchObjective", "SearchProposer", "SearchSpace", "SearchStanding", "SearchStart", "ServeWhen", "ServedBound",
    "ServedFigures", "ServerKind", "SetShare", "SignalName", "SignalTerm", "Signals", "SlowFirstCallFigures", "Spec", "Split",
    "SplitBy", "StandingReason", "Suite", "SyntheticPrompts", "Timings", "TokenLogProb", "ToolCall", "ToolDefinition",
    "ToolMatch", "ToolOffer", "Trial", "TrialAbandoned", "TrialStart", "TriedWay", "TrivialPolicy", "TruncationFigures",
    "Unanswered", "UndecidedCause", "UnreadFormatFigures", "Usage", "Variant", "Verdict", "VerdictName", "Voided", "VoidedBy",
    "WarmUp", "WarmUpExperiment", "WarmUpResult", "WayEnd", "WayFigures", "WrittenChoice", "WrittenPart", "as_kind_of",
    "canonical_json", "content_hash", "cost_of", "evidence_key", "is_loopback", "matches_pattern", "new_id", "offer_of",
    "remembered", "schema_of", "sha256_hex", "tool_set_name", "utc_now", "whole_evaluations",
]
# fmt: on
