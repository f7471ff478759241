"""Column shapes every table shares, and SQL functions that differ between SQLite and PostgreSQL.

Instants are integer UTC microseconds. `ref` is a random 128-bit name that is never used again; URLs and tokens carry
it, integer ids stay inside. A `box` is AES-GCM-SIV ciphertext under the contact's own key.
"""

from typing import Any

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, MetaData
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

BigId = BigInteger().with_variant(Integer, "sqlite")


def identity() -> Column[int]:
    """The integer primary key, seen only inside."""
    return Column("id", BigId, primary_key=True, autoincrement=True)


def ref(**options: Any) -> Column[bytes]:
    """16 random bytes: the name the outside world may know."""
    return Column("ref", LargeBinary(16), nullable=False, unique=True, **options)


def instant(name: str, *, nullable: bool = False, **options: Any) -> Column[int]:
    """UTC microseconds since 1970."""
    return Column(name, BigInteger, nullable=nullable, **options)


def box(name: str, *, nullable: bool = True) -> Column[bytes]:
    """Ciphertext: nonce ‖ AES-GCM-SIV."""
    return Column(name, LargeBinary, nullable=nullable)


def belongs_to(name: str, target: str, *, nullable: bool = False, **options: Any) -> Column[int]:
    """A reference to another table's integer id."""
    return Column(name, BigId, ForeignKey(target), nullable=nullable, **options)


class random_ref(GenericFunction[bytes]):  # noqa: N801  the name is a SQL function's
    """16 random bytes made by the database, for rows that SQL itself inserts (RFC 9562 v4 on PostgreSQL)."""

    type = LargeBinary(16)
    inherit_cache = True


@compiles(random_ref, "sqlite")
def _random_ref_sqlite(_element: random_ref, _compiler: Any, **_kw: Any) -> str:
    return "randomblob(16)"


@compiles(random_ref, "postgresql")
def _random_ref_postgresql(_element: random_ref, _compiler: Any, **_kw: Any) -> str:
    return "uuid_send(gen_random_uuid())"
