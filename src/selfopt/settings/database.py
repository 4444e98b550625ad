"""URLs of the database that holds the ledger, and of the store that holds its texts: they never hold a password."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator

from selfopt.home.places import check_place

SCHEMES = ("postgresql", "postgres")


def check_database_url(url: str) -> str:
    """Returns the URL. ValueError, which repeats no part of it, when it is not one or holds a password."""
    if not (url.partition("://")[0] in SCHEMES and "://" in url):
        raise ValueError("write postgresql://USER@HOST:PORT/DATABASE, or leave it out for a file in the home")
    try:
        parts = urlsplit(url)
        _ = parts.port
        query = {name.lower() for name in parse_qs(parts.query, keep_blank_values=True)}
    except ValueError:
        raise ValueError("the URL cannot be read; write postgresql://USER@HOST:PORT/DATABASE") from None
    if "#" in url:  # libpq knows no fragment and reads on
        raise ValueError("a URL of a database has no part after a #; write %23 where a name has one")
    if parts.password is not None or query & {"password", "sslpassword"}:
        raise ValueError("a URL must hold no password; put it into ~/.pgpass or PGPASSWORD, where nothing shows it")
    return url


DatabaseUrl = Annotated[str, AfterValidator(check_database_url)]


def check_blobs_url(url: str) -> str:
    """Returns the URL without a slash at its end. ValueError, which repeats no part of it, when it is not one or holds a secret."""
    if url.startswith("memory:"):
        raise ValueError("what is in memory ends with the process; write a URL such as s3://BUCKET/PREFIX or file:///FOLDER")
    return check_place(url)


BlobsUrl = Annotated[str, AfterValidator(check_blobs_url)]
