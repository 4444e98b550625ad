"""Live traffic under the rules in force: an OpenAI-compatible endpoint."""

from selfopt.web import HttpAddress, Pool, WebLimits

from .access_log import AccessLog
from .allowances import Allowances
from .attempts import AttemptParts, Attempts, SureParts
from .conversations import Conversations
from .costs import CostBook
from .drift import DriftMarks, DriftWatch
from .drift_file import DriftFile
from .earlier import EarlierResponses
from .gateway import Gateway, GatewayParts, fast_loop
from .harness import Harness
from .journal import JournalOptions, SegmentJournal
from .kept_responses import KeptLimits, KeptResponses
from .key_counters import KeyCounters
from .keys import FileKeys
from .metrics import LiveCounters
from .model_metrics import ModelCounters
from .options import GatewayOptions
from .page_process import PagePlace, PageProcess
from .passing import Passing
from .pooled import PooledEndpoint
from .rules import RulesInForce, RulesWatch
from .seams import RequestJournal, Upstream, Upstreams
from .service import ChatParts
from .shared_breaks import SharedBreaks
from .shared_figures import SharedFigures
from .similar import EmbeddingSteps
from .sinks import TrailSink
from .spent_elsewhere import SpentElsewhere
from .thresholds import ThresholdWatch
from .ticket import this_writer
from .tracing import AttemptSpan, SpanSink, TracedRequest, Tracing
from .warmth import KeepWarm, Warmed, Warmer

__all__ = [
    "AccessLog",
    "Allowances",
    "AttemptParts",
    "AttemptSpan",
    "Attempts",
    "ChatParts",
    "Conversations",
    "CostBook",
    "DriftFile",
    "DriftMarks",
    "DriftWatch",
    "EarlierResponses",
    "EmbeddingSteps",
    "FileKeys",
    "Gateway",
    "GatewayOptions",
    "GatewayParts",
    "Harness",
    "HttpAddress",
    "JournalOptions",
    "KeepWarm",
    "KeptLimits",
    "KeptResponses",
    "KeyCounters",
    "LiveCounters",
    "ModelCounters",
    "PagePlace",
    "PageProcess",
    "Passing",
    "Pool",
    "PooledEndpoint",
    "RequestJournal",
    "RulesInForce",
    "RulesWatch",
    "SegmentJournal",
    "SharedBreaks",
    "SharedFigures",
    "SpanSink",
    "SpentElsewhere",
    "SureParts",
    "ThresholdWatch",
    "TracedRequest",
    "Tracing",
    "TrailSink",
    "Upstream",
    "Upstreams",
    "Warmed",
    "Warmer",
    "WebLimits",
    "fast_loop",
    "this_writer",
]
