"""Who may import whom, and how large a room may be. The plan is docs/ARCHITECTURE.md; change both together."""

from __future__ import annotations

import ast
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "selfopt"

DOORS = {"verbs", "records", "errors", "words"}
GROUND = {"errors", "extensions", "records", "stats", "home", "words"}
PARTS = {"ledger", "dialects", "endpoints", "scripted", "engine", "residency", "suites", "reading", "variants", "scoring"}
STAGES = {"measure", "feedback", "policy", "routing"}
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "extensions": set(),
    "records": {"errors"},
    "stats": {"errors", "records"},
    "home": {"errors", "records"},
    "words": {"errors", "records", "stats", "home"},
    **dict.fromkeys(PARTS, GROUND),
    "variants": GROUND | {"reading"},  # what is written for a prompt is what is read in a reply
    **dict.fromkeys(STAGES, GROUND),
    "endpoints": GROUND | {"dialects", "reading"},
    "dialects": GROUND | {"reading"},
    "scripted": GROUND | {"dialects", "reading"},
    "engine": GROUND | {"reading"},  # a model's chat template names its family
    "feedback": GROUND | {"reading"},  # a finding names the family of an unread call
    "measure": GROUND | {"suites", "variants", "reading", "scoring"},
    "authoring": GROUND | {"suites", "reading"},  # what is written is checked like a suite, and backed like a call
    "search": {"errors", "extensions", "records", "variants"},
    "simulate": GROUND | {"policy", "search", "variants"},
    "settings": {"errors", "records", "home", "dialects"},
    "web": {"errors", "home"},
    "loop": GROUND | STAGES | {"settings", "search", "variants"},  # a search composes what it tries
    "gateway": GROUND | {"dialects", "settings", "routing", "variants", "reading", "web"},
    "report": GROUND,
    "export": GROUND | {"ledger", "gateway"},  # reads what is stored, and the records of live requests
    "wiring": GROUND | PARTS | STAGES | {"settings", "gateway"},
    "verbs": GROUND
    | PARTS
    | STAGES
    | {"authoring", "settings", "loop", "gateway", "report", "export", "search", "simulate", "wiring"},
    "ui": GROUND | {"verbs", "report", "web"},  # a door with a server of its own
    "cli": DOORS | {"report", "home", "ui"},
    "api": DOORS,
    "pytest_plugin": DOORS | {"api"},  # a door that pytest opens
    "__init__": {"api"},
    "__main__": {"cli"},
}


@dataclass(slots=True)
class Facts:
    """What one file says, as far as the plan asks."""

    imports: set[str] = field(default_factory=set)  # selfopt packages, type-checking blocks included
    called: set[str] = field(default_factory=set)  # last parts of the names that are called
    named: set[str] = field(default_factory=set)  # every name that is used or imported
    functions: list[tuple[str, int]] = field(default_factory=list)  # with their lines
    of_an_app: set[str] = field(default_factory=set)  # what is asked of an open home
    lines: int = 0


@cache
def facts_of(path: Path) -> Facts:
    """Read a file once for all tests. Its tree is not kept: all of them together fill hundreds of megabytes."""
    text = path.read_text("utf-8")
    facts = Facts(lines=text.count("\n"))
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Import() | ast.ImportFrom():
                facts.imports |= imported_by(node, path)
                facts.named |= {alias.name for alias in node.names} if isinstance(node, ast.ImportFrom) else set()
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                facts.functions.append((node.name, (node.end_lineno or node.lineno) - node.lineno + 1))
            case ast.Name(id=name):
                facts.named.add(name)
            case ast.Attribute(value=owner, attr=name):
                facts.named.add(name)
                if last_part(owner) in ("app", "_app", "App"):
                    facts.of_an_app.add(name)
            case ast.Call(func=function):
                facts.called |= {last_part(function)} - {""}
    return facts


def last_part(node: ast.expr) -> str:
    """`c` of `a.b.c`, and nothing of what is no name."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def imported_by(node: ast.Import | ast.ImportFrom, path: Path) -> set[str]:
    """The selfopt packages that a statement of a file imports."""
    if isinstance(node, ast.Import):
        return {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("selfopt.")}
    if node.module and node.level == 0:
        if node.module == "selfopt":
            return {alias.name for alias in node.names if alias.name != "__version__"}
        return {node.module.split(".")[1]} if node.module.startswith("selfopt.") else set()
    if node.level > 1 and node.level > len(path.relative_to(SOURCE).parts) - 1:
        return {(node.module or "").split(".")[0]}
    return set()


def room_of(path: Path) -> str:
    """The package or top-level module that a file belongs to."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


FILES = sorted(SOURCE.rglob("*.py"))


ROOMS = sorted({room_of(path) for path in FILES})


@pytest.mark.parametrize("room", ROOMS)
def test_imports_flow_one_way(room: str) -> None:
    """A room imports only what the plan lets it see."""
    assert room in ALLOWED, f"{room} has no place in the plan"
    allowed = ALLOWED[room] | {room}
    breaches = {str(path.relative_to(ROOT)): sorted(facts_of(path).imports - allowed) for path in FILES if room_of(path) == room}
    assert not any(breaches.values()), "\n".join(f"{file} imports {found}" for file, found in breaches.items() if found)


SCRIPTS = sorted((ROOT / "bench").glob("*.py"))
BEHIND_DOORS = [path for path in FILES if room_of(path) in ("cli", "api")] + SCRIPTS
# What a door may ask of an open home itself; everything else is a verb's to do.
OF_AN_OPEN_HOME = {"close", "cwd", "environ", "home", "notices", "open", "release", "settings"}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.name)
def test_the_specifications_scripts_see_verbs_alone(path: Path) -> None:
    """They run commands, call verbs and name records."""
    assert facts_of(path).imports <= DOORS | {"cli"}


@pytest.mark.parametrize("path", BEHIND_DOORS, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_door_reaches_through_an_open_home(path: Path) -> None:
    """Ledger, enforcer and sender are there for verbs."""
    assert facts_of(path).of_an_app <= OF_AN_OPEN_HOME


@pytest.mark.parametrize("room", ROOMS)
def test_files_and_functions_stay_small(room: str) -> None:
    """No file over 400 lines, no function over 60."""
    large = []
    for path in (path for path in FILES if room_of(path) == room):
        facts, file = facts_of(path), path.relative_to(ROOT)
        large += [f"{file} has {facts.lines} lines"] if facts.lines > 400 else []
        large += [f"{file}: {name} has {lines} lines" for name, lines in facts.functions if lines > 60]
    assert not large, "\n".join(large)


@pytest.mark.parametrize("package", sorted(p.parent.name for p in SOURCE.glob("*/__init__.py")))
def test_what_a_package_names_as_public_is_there(package: str) -> None:
    """Every name in `__all__` can be imported."""
    module = __import__(f"selfopt.{package}", fromlist=["__all__"])
    for name in getattr(module, "__all__", ()):
        assert hasattr(module, name), f"selfopt.{package}.{name}"


def test_help_imports_nothing_heavy() -> None:
    """`selfopt --help` imports neither pydantic nor aiohttp nor anything that draws."""
    code = (
        "import sys\n"
        "from selfopt.cli import main\n"
        "sys.argv = ['selfopt', '--help']\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'pydantic', 'aiohttp', 'numpy', 'yaml', 'rich', 'sqlite3', 'asyncio'} & set(sys.modules)\n"
        "print('HEAVY', sorted(heavy))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "HEAVY []" in done.stdout


def test_a_gateway_gets_ready_without_what_it_needs_later() -> None:
    """Putting `serve` together imports no HTTP client, nothing that measures and no ledger."""
    code = (
        "import sys\n"
        "import selfopt.cli.serve, selfopt.wiring.serving\n"
        "rooms = {'selfopt.measure', 'selfopt.loop', 'selfopt.report', 'selfopt.feedback', 'selfopt.suites', 'selfopt.ledger'}\n"
        "print('HEAVY', sorted(({'aiohttp', 'numpy', 'rich', 'sqlite3'} | rooms) & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "HEAVY []" in done.stdout, done.stdout


# Who opens connections, and to whom: servers of models (the first two), servers of tools, where model files are pulled from, the embedded
# engine's own child, whether somebody listens (nothing is sent), the OpenTelemetry collector of the user's settings (two files), and whether
# the head of the Ray cluster that the user's settings name takes this user's token (the last).
CONNECTING = {
    "endpoints/http.py",
    "web/pool.py",
    "web/tunnel.py",
    "suites/mcp/http.py",
    "suites/mcp/session.py",
    "engine/sources.py",
    "engine/embedded.py",
    "verbs/doctor.py",
    "wiring/otel.py",
    "wiring/otel_spans.py",
    "wiring/ray_reach.py",
}
CONNECTS = {
    "ClientSession", "TCPConnector", "create_connection", "open_connection", "urlopen", "build_opener", "HTTPConnection",
    "HTTPSConnection", "create_unix_connection", "open_unix_connection", "create_datagram_endpoint", "sock_connect", "connect_ex", "AsyncHTTPTransport",
    "OTLPSpanExporter", "OTLPMetricExporter",
}  # fmt: skip
# What speaks to a model's server is made in one place; beside it, for a child of the engine on loopback, and in the process that warms
# up on behalf of this one, which is handed a configuration by that place.
ADAPTERS = {
    "create_endpoint", "create_residency", "HttpEndpoint", "ScriptedEndpoint", "ScriptedResidency",
    "OpenAIResidency", "OllamaResidency", "residency_of", "HttpClient", "EmbeddedEndpoint", "EmbeddedResidency",
    "EmbeddingEndpoint", "EmbeddedEmbedding",
}  # fmt: skip
MAKING = {"wiring/sending.py", "wiring/embedded.py", "wiring/separate.py"}


def inside(path: Path) -> str:
    """A file's path within the package."""
    return str(path.relative_to(SOURCE))


def test_connections_are_opened_in_known_places() -> None:
    """A new file that opens one has to be named here, and so does its reason."""
    assert {inside(path) for path in FILES if facts_of(path).called & CONNECTS} == CONNECTING


def test_requests_to_models_are_sent_from_one_place() -> None:
    """Adapters are made by the sender, which asks for leave; nobody else can get one, and the gateway's pool goes only where the sender
    let a model be found."""
    users = {inside(path) for path in FILES if room_of(path) not in ("endpoints", "scripted") and facts_of(path).named & ADAPTERS}
    assert users <= MAKING, users - MAKING
    assert {inside(path) for path in FILES if "Sending" in facts_of(path).called} == {"wiring/sending.py"}
    assert {inside(path) for path in FILES if "Upstream" in facts_of(path).called} == {"wiring/upstreams.py"}
    assert {inside(path) for path in FILES if "Sender" in facts_of(path).called} == {"wiring/app.py"}


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("wiring/sending.py", "endpoint"),
        ("wiring/sending.py", "residency"),
        ("wiring/sending.py", "embedding"),
        ("wiring/upstreams.py", "find"),
    ],
)
def test_whatever_hands_out_a_way_to_a_model_asks_for_leave_first(file: str, name: str) -> None:
    """The first statement is the check."""
    tree = ast.parse((SOURCE / file).read_text("utf-8"))
    found = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == name]
    assert found
    for function in found:
        first = function.body[1]  # after the docstring
        assert isinstance(first, ast.Expr)
        assert isinstance(first.value, ast.Call)
        assert isinstance(first.value.func, ast.Attribute)
        assert first.value.func.attr == ("require_embedding" if name == "embedding" else "require")
