"""The tables of a ledger in PostgreSQL, its roles, and its migrations.

Records are partitioned by the month of their own time. What has to be unique in all partitions, the
kind and id of a record, is kept in `record_keys`. Nobody may change or delete: the roles have no such
privilege, and triggers refuse it to the owner too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from selfopt.errors import StoreError, UsageError

from .codec import record_types
from .postgres_session import FAMILY, MIGRATING, DatabaseSession, Patience, check_version

WRITER, GATEWAY = "selfopt_writer", "selfopt_gateway"
"""Roles that migrations make: of who measures, and of a gateway, which reads no prompts and no replies."""

MONTHS_AHEAD = 3
_TABLES = ("records", "record_keys", "record_index", "blobs", "commits", "rule_versions")
_PARTITIONS = f"""
CREATE FUNCTION selfopt.make_partitions() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE first date; name text;
BEGIN
  FOR n IN -1..{MONTHS_AHEAD} LOOP
    first := (date_trunc('month', now() AT TIME ZONE 'UTC') + make_interval(months => n))::date;
    name := 'records_' || to_char(first, 'YYYY_MM');
    -- What came before its month had a partition lies in the default one, and stays there.
    IF to_regclass('selfopt.' || name) IS NULL AND NOT EXISTS (SELECT FROM selfopt.records_other
        WHERE at >= first::timestamp AT TIME ZONE 'UTC' AND at < (first + interval '1 month') AT TIME ZONE 'UTC') THEN
      EXECUTE format('CREATE TABLE selfopt.%I PARTITION OF selfopt.records FOR VALUES FROM (%L) TO (%L)', name,
        to_char(first, 'YYYY-MM-DD') || ' 00:00:00+00', to_char(first + interval '1 month', 'YYYY-MM-DD') || ' 00:00:00+00');
      EXECUTE format('CREATE TRIGGER only_added_to BEFORE TRUNCATE ON selfopt.%I EXECUTE FUNCTION selfopt.refuse()', name);
    END IF;
  END LOOP;
END $$"""

_V1 = (
    "CREATE SCHEMA selfopt",
    "CREATE TABLE selfopt.ledger (id text NOT NULL, made_at timestamptz NOT NULL DEFAULT now())",
    "INSERT INTO selfopt.ledger (id) VALUES (replace(gen_random_uuid()::text, '-', ''))",
    "CREATE TABLE selfopt.schema_versions (version integer PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())",
    "CREATE TABLE selfopt.indexed_fields (kind text NOT NULL, field text NOT NULL, PRIMARY KEY (kind, field))",
    "CREATE TABLE selfopt.records (seq bigint NOT NULL, kind text NOT NULL, id text NOT NULL, at timestamptz NOT NULL,"
    " body text NOT NULL, PRIMARY KEY (seq, at)) PARTITION BY RANGE (at)",
    "CREATE TABLE selfopt.records_other PARTITION OF selfopt.records DEFAULT",
    "CREATE TABLE selfopt.record_keys (id text NOT NULL, kind text NOT NULL, seq bigint NOT NULL, at timestamptz NOT NULL,"
    " PRIMARY KEY (id, kind))",
    "CREATE INDEX record_keys_by_kind ON selfopt.record_keys (kind, seq)",
    "CREATE TABLE selfopt.record_index (value text NOT NULL, kind text NOT NULL, field text NOT NULL, seq bigint NOT NULL,"
    " at timestamptz NOT NULL, PRIMARY KEY (value, kind, field, seq))",
    "CREATE TABLE selfopt.blobs (seq bigint PRIMARY KEY, hash text NOT NULL UNIQUE, codec smallint NOT NULL, data bytea NOT NULL)",
    "CREATE TABLE selfopt.commits (seq bigint PRIMARY KEY, writer text NOT NULL, n bigint NOT NULL, hash text NOT NULL,"
    " body text NOT NULL, last_record bigint NOT NULL, last_blob bigint NOT NULL, UNIQUE (writer, n))",
    "CREATE TABLE selfopt.rule_versions (version bigint PRIMARY KEY, before text NOT NULL, seal text NOT NULL, node text NOT NULL,"
    " at text NOT NULL, body text NOT NULL)",
    "CREATE FUNCTION selfopt.refuse() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN RAISE insufficient_privilege USING MESSAGE = 'a ledger is only added to'; END $$",
    *(
        f"CREATE TRIGGER only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON selfopt.{table}"
        " FOR EACH STATEMENT EXECUTE FUNCTION selfopt.refuse()"
        for table in (*_TABLES, "ledger", "records_other")
    ),
    # One of rows is inherited by every partition, one of statements is not.
    "CREATE TRIGGER no_row_changes BEFORE UPDATE OR DELETE ON selfopt.records FOR EACH ROW EXECUTE FUNCTION selfopt.refuse()",
    _PARTITIONS,
    "REVOKE ALL ON FUNCTION selfopt.make_partitions() FROM PUBLIC",
)

_V2 = (
    "CREATE TABLE selfopt.holders (n bigint GENERATED ALWAYS AS IDENTITY, name text NOT NULL, host text NOT NULL,"
    " pid integer NOT NULL, purpose text NOT NULL, at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (name, n))",
    "CREATE TRIGGER only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON selfopt.holders"
    " FOR EACH STATEMENT EXECUTE FUNCTION selfopt.refuse()",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (_V1, _V2)
"""Statements that bring a database from version n to n + 1, by n. A released migration is never edited."""

POSTGRES_SCHEMA_VERSION = len(MIGRATIONS)

_GRANTS = (
    f"GRANT USAGE ON SCHEMA selfopt TO {WRITER}, {GATEWAY}",
    f"GRANT SELECT ON selfopt.ledger, selfopt.schema_versions, selfopt.indexed_fields TO {WRITER}, {GATEWAY}",
    *(f"GRANT SELECT, INSERT ON selfopt.{table} TO {WRITER}" for table in _TABLES),
    f"GRANT EXECUTE ON FUNCTION selfopt.make_partitions() TO {WRITER}",
    f"GRANT SELECT, INSERT ON selfopt.rule_versions TO {GATEWAY}",
    f"GRANT SELECT ON selfopt.commits TO {GATEWAY}",
    f"GRANT SELECT, INSERT ON selfopt.holders TO {WRITER}",
    f"GRANT SELECT ON selfopt.holders TO {GATEWAY}",
)


def schema_version(connection: Any, place: str) -> int | None:
    """Returns the version of a database's ledger; None where there is none.

    StoreError when another program uses the same names there.
    """
    there, ours = connection.execute(
        "SELECT to_regnamespace('selfopt') IS NOT NULL,"
        " to_regclass('selfopt.schema_versions') IS NOT NULL AND to_regclass('selfopt.ledger') IS NOT NULL"
    ).fetchone()
    if not there:
        return None
    if not ours:
        raise StoreError(f"{place} has a schema named selfopt that is no ledger; it was left as it is, name another database")
    return int(connection.execute("SELECT coalesce(max(version), 0) FROM selfopt.schema_versions").fetchone()[0])


def checked(connection: Any, place: str) -> str:
    """Returns the id of a database's ledger. Raises as `check_version`."""
    check_version(schema_version(connection, place), POSTGRES_SCHEMA_VERSION, place)
    return str(connection.execute("SELECT id FROM selfopt.ledger").fetchone()[0])


def migrate(url: str, grant: Sequence[str] = (), gateways: Sequence[str] = ()) -> tuple[int, int]:
    """Make the ledger of a database, or bring it up to date, in one transaction.

    Args:
        grant, gateways: users that get the role of who measures, or of a gateway.

    Returns:
        The versions before and after.

    Raises:
        StoreError: the database cannot be used, or its ledger is newer.
        UsageError: there is no such user.
    """
    session = DatabaseSession(url, "migrate", Patience(0.0))
    found = 0

    def work(connection: Any) -> None:
        nonlocal found
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(%s, %s)", (FAMILY, MIGRATING))
            found = schema_version(connection, session.place) or 0
            if found > POSTGRES_SCHEMA_VERSION:
                check_version(found, POSTGRES_SCHEMA_VERSION, session.place)
            for number, statements in enumerate(MIGRATIONS[found:], found + 1):
                for statement in statements:
                    connection.execute(statement)
                connection.execute("INSERT INTO selfopt.schema_versions (version) VALUES (%s)", (number,))
            _index_new_fields(connection)
            _grant(connection, session.place, grant, gateways)
            connection.execute("SELECT selfopt.make_partitions()")

    try:
        session.run(work)
    finally:
        session.close()
    return found, POSTGRES_SCHEMA_VERSION


def _index_new_fields(connection: Any) -> None:
    """Index fields that an earlier selfopt did not index, for what is stored already."""
    from .postgres_storing import index_values  # it needs the names of this file

    known = {(kind, field) for kind, field in connection.execute("SELECT kind, field FROM selfopt.indexed_fields")}
    wanted = {(kind, field) for kind, record_type in record_types().items() for field in record_type.index_fields}
    for kind, field in sorted(wanted - known):
        rows = connection.execute("SELECT seq, at, body FROM selfopt.records WHERE kind = %s", (kind,)).fetchall()
        for seq, at, body in rows:
            for value in index_values(kind, field, body):
                connection.execute(
                    "INSERT INTO selfopt.record_index (value, kind, field, seq, at) VALUES (%s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
                    (value, kind, field, seq, at),
                )
        connection.execute("INSERT INTO selfopt.indexed_fields VALUES (%s, %s)", (kind, field))


def _grant(connection: Any, place: str, writers: Sequence[str], gateways: Sequence[str]) -> None:
    roles = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
    for user in (*writers, *gateways):
        if user not in roles:
            raise UsageError(f"{place} has no user {user[:80]!r}; make it there first: CREATE ROLE ... LOGIN")
    for role in (WRITER, GATEWAY):
        if role not in roles:
            connection.execute(f"CREATE ROLE {role} NOLOGIN")
    for statement in _GRANTS:
        connection.execute(statement)
    from psycopg import sql

    for role, users in ((WRITER, writers), (GATEWAY, gateways)):
        for user in users:
            connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(role), sql.Identifier(user)))
