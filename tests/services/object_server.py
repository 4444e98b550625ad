"""An S3 server of the tests' own, on loopback, and a network before it that can be cut, slow or full."""

from __future__ import annotations

import os
import re
import selectors
import socket
import subprocess
import sys
import threading
import urllib.request
from dataclasses import dataclass, field
from urllib.parse import quote

KEYS = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
_SERVER = (
    "import sys; from werkzeug.serving import make_server; from moto.server import DomainDispatcherApplication, create_backend_app;"
    " server = make_server('127.0.0.1', 0, DomainDispatcherApplication(create_backend_app), threaded=True);"
    " print('port', server.port, flush=True); server.serve_forever()"
)


@dataclass(slots=True)
class ObjectServer:
    """A running server. Its objects are lost with it."""

    port: int
    process: subprocess.Popen[str]

    @classmethod
    def start(cls, **environ: str) -> ObjectServer:
        """Start one, and wait until it listens."""
        process = subprocess.Popen(
            [sys.executable, "-c", _SERVER],
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | KEYS | environ,
        )
        assert process.stdout is not None
        found = re.search(r"port (\d+)", process.stdout.readline())
        assert found is not None, "the S3 server of moto did not start"
        return cls(int(found[1]), process)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def make_bucket(self, name: str) -> None:
        """Make a bucket."""
        self._ask("PUT", name, b"")

    def put(self, key: str, data: bytes) -> None:
        """Store an object, as somebody else."""
        self._ask("PUT", key, data)

    def delete(self, key: str) -> None:
        """Remove an object, as somebody else."""
        self._ask("DELETE", key)

    def keys(self, bucket: str) -> list[str]:
        """The names of all objects of a bucket."""
        found: list[str] = []
        while True:  # a server lists a thousand at a time
            answer = self._ask("GET", f"{bucket}?marker={quote(found[-1] if found else '')}").decode()
            found += re.findall(r"<Key>([^<]*)</Key>", answer)
            if "<IsTruncated>true</IsTruncated>" not in answer:
                return found

    def _ask(self, method: str, path: str, data: bytes | None = None) -> bytes:
        signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=testing/20260101/us-east-1/s3/aws4_request"}
        request = urllib.request.Request(f"{self.url}/{path}", data, signed, method=method)
        with urllib.request.urlopen(request, timeout=60) as reply:
            return bytes(reply.read())

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()


@dataclass(slots=True)
class Network:
    """Carries connections to a server. A cut one refuses new connections and ends those there are."""

    port_behind: int
    latency_s: float = 0.0  # before what a client sends arrives
    received: int = 0  # bytes that the server sent
    port: int = 0
    _listener: socket.socket | None = None
    _open: set[socket.socket] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        """Carry, from the same port as before."""
        listener = socket.create_server(("127.0.0.1", self.port))
        self.port, self._listener = listener.getsockname()[1], listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def cut(self) -> None:
        """Stop carrying."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self._lock:
            for one in self._open:
                one.shutdown(socket.SHUT_RDWR)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(client,), daemon=True).start()

    def _carry(self, client: socket.socket) -> None:
        pause = threading.Event()
        with client, socket.create_connection(("127.0.0.1", self.port_behind)) as server, selectors.DefaultSelector() as ready:
            with self._lock:
                self._open |= {client}
            for one, other in ((client, server), (server, client)):
                ready.register(one, selectors.EVENT_READ, other)
            try:
                while True:
                    for key, _ in ready.select():
                        source = key.fileobj
                        assert isinstance(source, socket.socket)
                        data = source.recv(65536)
                        if not data:
                            return
                        if source is client and self.latency_s:
                            pause.wait(self.latency_s)
                        else:
                            self.received += len(data)
                        key.data.sendall(data)
            except OSError:
                return
            finally:
                with self._lock:
                    self._open -= {client}
