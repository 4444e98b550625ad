"""One process at a time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from selfopt.errors import LockedError, StoreError
from selfopt.home import ProcessLock

HOLDER = """
import sys
from pathlib import Path
from selfopt.home import ProcessLock
lock = ProcessLock(Path(sys.argv[1]))
lock.acquire("supervise " + sys.argv[2])
print("held", flush=True)
sys.stdin.readline()
lock.release()
"""


def start_holder(path: Path, name: str = "a") -> subprocess.Popen[str]:
    holder = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(HOLDER), str(path), name],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def end(holder: subprocess.Popen[str]) -> None:
    holder.communicate("\n", timeout=60)


def write_owner(path: Path, pid: int, started: float) -> None:
    path.write_text(json.dumps({"pid": pid, "process_start_time": started, "purpose": "old\x1b", "at": "then"}))


def test_the_file_names_its_owner_and_goes_away(tmp_path: Path) -> None:
    """JSON with pid, process start time, purpose and time, mode 0600; removed on release."""
    lock = ProcessLock(tmp_path / "lock", clock=lambda: "now")
    assert lock.owner() is None
    with lock("loop"):
        body = json.loads((tmp_path / "lock").read_text())
        assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600
        owner = ProcessLock(tmp_path / "lock").owner()
    assert body == {
        "pid": os.getpid(), "process_start_time": psutil.Process().create_time(), "purpose": "loop", "at": "now",
    }  # fmt: skip
    assert owner is not None
    assert owner.pid == os.getpid()
    assert not (tmp_path / "lock").exists()
    assert not lock.held
    lock.release()


def test_a_live_owner_is_named(tmp_path: Path) -> None:
    """Another process holds it: LockedError with its pid and purpose; free again when it is released."""
    path = tmp_path / "lock"
    holder = start_holder(path)
    with pytest.raises(LockedError, match=rf"process {holder.pid} \(\"supervise a\""):
        ProcessLock(path).acquire("b")
    end(holder)
    with ProcessLock(path)("b"):
        assert json.loads(path.read_text())["pid"] == os.getpid()


def test_a_killed_owner_is_cleared(tmp_path: Path) -> None:
    """kill -9 leaves the file; the next claimer takes the lock."""
    path = tmp_path / "lock"
    holder = start_holder(path)
    holder.send_signal(signal.SIGKILL)
    holder.communicate(timeout=60)
    assert path.exists()
    assert ProcessLock(path).owner() is None
    with ProcessLock(path)("b"):
        assert json.loads(path.read_text())["pid"] == os.getpid()


def test_a_reused_pid_is_stale(tmp_path: Path) -> None:
    """A live pid with another start time is another process."""
    path = tmp_path / "lock"
    write_owner(path, os.getppid(), psutil.Process(os.getppid()).create_time() - 3600)
    with ProcessLock(path)("b"):
        assert json.loads(path.read_text())["pid"] == os.getpid()


def test_pid_and_start_time_alone_keep_the_lock(tmp_path: Path) -> None:
    """A file whose owner lives is respected although nobody holds the kernel's lock; its text is escaped."""
    path = tmp_path / "lock"
    write_owner(path, os.getppid(), psutil.Process(os.getppid()).create_time())
    before = path.read_text()
    with pytest.raises(LockedError, match="old") as caught:
        ProcessLock(path).acquire("b")
    assert str(caught.value).isprintable()
    assert path.read_text() == before


@pytest.mark.parametrize("text", ["", "garbage", "[]", '{"pid": "x"}', '{"pid": -1, "process_start_time": 0}', '{"pid": 1e999}'])
def test_an_unreadable_owner_is_stale(tmp_path: Path, text: str) -> None:
    """A lock file that names nobody, and that nobody holds, is cleared."""
    path = tmp_path / "lock"
    path.write_text(text)
    with ProcessLock(path)("b"):
        assert json.loads(path.read_text())["pid"] == os.getpid()


def test_it_is_not_reentrant(tmp_path: Path) -> None:
    """The same object, and another one in the same process, are both refused."""
    lock = ProcessLock(tmp_path / "lock")
    with lock("a"):
        with pytest.raises(LockedError, match="already"):
            lock.acquire("again")
        with pytest.raises(LockedError, match=str(os.getpid())):
            ProcessLock(tmp_path / "lock").acquire("b")


def test_of_many_claimers_one_wins(tmp_path: Path) -> None:
    """Four processes race for a stale lock: never two at the same time."""
    path, count = tmp_path / "lock", tmp_path / "count"
    write_owner(path, 2**22 - 3, 1.0)
    code = """
    import os, sys
    from pathlib import Path
    from selfopt.errors import LockedError
    from selfopt.home import ProcessLock
    path, inside = Path(sys.argv[1]), Path(sys.argv[2])
    sys.stdin.readline()
    won = 0
    for _ in range(300):
        lock = ProcessLock(path)
        try:
            lock.acquire("race")
        except LockedError:
            continue
        won += 1
        os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
        inside.unlink()
        lock.release()
    print(won)
    """
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(code), str(path), str(count)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for _ in range(4)
    ]  # fmt: skip
    outputs = [racer.communicate("go\n", timeout=120)[0] for racer in racers]
    assert [racer.returncode for racer in racers] == [0] * 4
    assert sum(map(int, outputs)) > 0


def test_a_forked_child_does_not_keep_the_lock(tmp_path: Path) -> None:
    """The owner dies, its forked child lives on: the lock is free."""
    code = """
    import os, sys
    from pathlib import Path
    from selfopt.home import ProcessLock
    lock = ProcessLock(Path(sys.argv[1]))
    lock.acquire("parent")
    child = os.fork()
    if child == 0:
        assert not lock.held
        lock.release()
        print("child", flush=True)
        sys.stdin.readline()
        os._exit(0)
    os.kill(os.getpid(), 9)
    """
    path = tmp_path / "lock"
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == "child\n"
    parent.wait(timeout=60)
    assert path.exists()
    with ProcessLock(path)("b"):
        assert json.loads(path.read_text())["pid"] == os.getpid()
    parent.communicate("\n", timeout=60)


def test_an_impossible_place_is_a_store_error(tmp_path: Path) -> None:
    """No such folder, or a symbolic link in the lock's place."""
    with pytest.raises(StoreError, match="could not write the lock"):
        ProcessLock(tmp_path / "no" / "lock").acquire("a")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with pytest.raises(StoreError, match="symbolic link"):
        ProcessLock(tmp_path / "link").acquire("a")
    assert not (tmp_path / "target").exists()
