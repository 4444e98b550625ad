"""What asks a collector bounds what it takes."""

from __future__ import annotations

import socket
import threading

import pytest

from selfopt.wiring.otel_spans import bounded_session


@pytest.mark.parametrize("length", [b"", b"Content-Length: 1000000000000\r\n"])
def test_an_endless_answer_of_a_collector_is_not_kept(length: bytes) -> None:
    """It filled the memory of the gateway: gigabytes in seconds."""
    sent = 0

    def answer() -> None:
        nonlocal sent
        taken, _ = listening.accept()
        with taken:
            taken.recv(65536)
            taken.sendall(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n")
            try:
                while sent < 200_000_000:
                    sent += taken.send(b"x" * 65536)
            except OSError:
                pass

    with socket.create_server(("127.0.0.1", 0)) as listening, bounded_session() as session:
        thread = threading.Thread(target=answer)
        thread.start()
        got = session.post(f"http://127.0.0.1:{listening.getsockname()[1]}/v1/traces", data=b"x", timeout=10)
        thread.join(300)
        assert not thread.is_alive()
        assert (got.status_code, got.content) == (200, b"")
    assert sent < 200_000_000
