"""Live traffic under the rules in force: an OpenAI-compatible endpoint."""

from selfopt.web import HttpAddress, Pool, WebLimits

from .access_log import AccessLog
from .attempts import Attempts, SureParts
from .conversations import Conversations
from .costs import CostBook
from .drift import DriftMarks, DriftWatch
from .drift_file import DriftFile
from .gateway import Gateway, GatewayParts, fast_loop
from .harness import Harness
from .journal import JournalOptions, SegmentJournal
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
from .similar import EmbeddingSteps
from .sinks import TrailSink
from .thresholds import ThresholdWatch
from .ticket import this_writer
from .warmth import KeepWarm, Warmed, Warmer

__all__ = [
    "AccessLog",
    "Attempts",
    "ChatParts",
    "Conversations",
    "CostBook",
    "DriftFile",
    "DriftMarks",
    "DriftWatch",
    "EmbeddingSteps",
    "FileKeys",
    "Gateway",
    "GatewayOptions",
    "GatewayParts",
    "Harness",
    "HttpAddress",
    "JournalOptions",
    "KeepWarm",
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
    "SureParts",
    "ThresholdWatch",
    "TrailSink",
    "Upstream",
    "Upstreams",
    "Warmed",
    "Warmer",
    "WebLimits",
    "fast_loop",
    "this_writer",
]
