"""Where the texts of blobs may be kept outside of a database: a folder or a bucket, as a URL."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

PACKAGES = {
    "file": "",
    "memory": "fsspec",
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "oss": "ossfs",
    "oci": "ocifs",
    "hdfs": "pyarrow",
    "sftp": "paramiko",
    "smb": "smbprotocol",
}
"""The kinds of places, each with the package that fsspec needs for it. Those that wrap others or only read are none."""

_WITH_USER = frozenset({"abfs", "abfss", "hdfs", "sftp", "smb"})  # or a container before the @
_LONGEST = 500
_PARTS = re.compile(r"([a-z][a-z0-9]*)://(\S+)")
_KEYS = (
    "put keys where its own tools look for them, such as AWS_PROFILE or ~/.aws for s3, GOOGLE_APPLICATION_CREDENTIALS for gs, "
    "AZURE_STORAGE_CONNECTION_STRING for az"
)


def check_place(value: str) -> str:
    """Returns the URL of a place without a slash at its end. ValueError says what may be written, and never repeats the URL."""
    match = _PARTS.fullmatch(value)
    if match is None or match[1] not in PACKAGES or not value.isprintable() or len(value) > _LONGEST:
        kinds = ", ".join(kind for kind in PACKAGES if kind != "memory")
        raise ValueError(f"write a URL such as s3://BUCKET/PREFIX or file:///FOLDER; its kind is one of {kinds}")
    kind, rest = match[1], match[2].rstrip("/")
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise ValueError("the URL cannot be read; write one such as s3://BUCKET/PREFIX") from None
    if parts.query or parts.fragment or parts.password is not None or ("@" in parts.netloc and kind not in _WITH_USER):
        raise ValueError(f"the URL holds a key, a password or options; write only the place, and {_KEYS}")
    if "::" in rest or {"", ".", ".."} & set(rest.lstrip("/").split("/")):
        raise ValueError("the URL has a part that is empty, . or .., or wraps another one; write one such as s3://BUCKET/PREFIX")
    if kind == "file" and (parts.netloc or rest.count("/") < 1):
        raise ValueError("a folder is written with its whole path, such as file:///srv/selfopt")
    if kind != "file" and not parts.netloc:
        raise ValueError(f"the URL names no bucket; write one such as {kind}://BUCKET/PREFIX")
    return f"{kind}://{rest}"
