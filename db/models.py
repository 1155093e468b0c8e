"""Tables of the database."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, Enum, ForeignKey, Index, MetaData, false, func, text
from sqlalchemy.dialects.postgresql import ARRAY, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.types import TypeEngine

from db.storable import PlainJson, PlainText

Json = dict[str, Any]


class State(StrEnum):
    """State of a session; the allowed changes are in `db.states`."""

    READY = "ready"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


COLUMN_TYPES: dict[Any, TypeEngine[Any]] = {
    str: PlainText(),
    datetime: TIMESTAMP(timezone=True),
    Json: PlainJson(),
    list[str]: ARRAY(PlainText()),
    list[Json]: PlainJson(),
    State: Enum(
        State,
        name="state",
        native_enum=False,  # a CHECK is easier to migrate than a type
        create_constraint=True,
        values_callable=lambda states: [state.value for state in states],
    ),
}


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
        }
    )
    type_annotation_map = COLUMN_TYPES
    # Server defaults are returned with the statement, because rows are read after their transaction.
    __mapper_args__ = {"eager_defaults": True}  # noqa: RUF012


class User(Base):
    """User account."""

    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    name: Mapped[str]
    password: Mapped[str]  # argon2 hash with its parameters and salt
    admin: Mapped[bool] = mapped_column(server_default=false())
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (Index("ix_users_name", text("lower(name)"), unique=True),)


class Acknowledgement(Base):
    """Acknowledgement by a user of what a model's licence forbids."""

    __tablename__ = "acknowledgements"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    model: Mapped[str] = mapped_column(primary_key=True)
    licence_url: Mapped[str]  # licence that was read: it may change later
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class LoginSession(Base):
    """That a user has signed in, in one browser."""

    __tablename__ = "login_sessions"

    token_hash: Mapped[str] = mapped_column(primary_key=True)  # SHA-256 of the cookie's token, in hexadecimal
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    auth_hash: Mapped[str]  # digest of the user's password hash at login: it ends with the password
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]

    __table_args__ = (Index("ix_login_sessions_user", "user_id"),)


class ApiToken(Base):
    """Token by which programs act for a user at the API."""

    __tablename__ = "api_tokens"

    id: Mapped[int] = mapped_column(primary_key=True)  # a number, for it is typed at the command line
    token_hash: Mapped[str]  # SHA-256 of the token, in hexadecimal
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime | None]  # NULL: it works until it is removed
    last_used_at: Mapped[datetime | None]  # to the minute

    __table_args__ = (
        Index("ix_api_tokens_token", "token_hash", unique=True),
        Index("ix_api_tokens_user", "user_id"),
    )


class ShareLink(Base):
    """Link to one result, which leads whoever has its token there."""

    __tablename__ = "share_links"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    token_hash: Mapped[str]  # SHA-256 of the token in the link's address, in hexadecimal
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    session_id: Mapped[UUID] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    result_id: Mapped[UUID] = mapped_column(ForeignKey("results.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    expires_at: Mapped[datetime]

    __table_args__ = (
        Index("ix_share_links_token", "token_hash", unique=True),
        Index("ix_share_links_session", "session_id"),
        Index("ix_share_links_result", "result_id"),
        Index("ix_share_links_owner", "owner_id"),
    )


class SessionRow(Base):
    """Session: an upload, its settings, and the state of its run.

    A session without an owner belongs to the local user, the only one where there are no accounts.
    """

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    owner_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str]
    starred: Mapped[bool] = mapped_column(server_default=false())
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now(), onupdate=func.now())
    changed_at: Mapped[datetime] = mapped_column(server_default=func.now())  # of its job, state or results
    state: Mapped[State] = mapped_column(server_default=State.READY.value)
    source: Mapped[str]  # a file's name inside the session's folder
    clip: Mapped[Json]  # properties of the probed video
    job: Mapped[Json]  # model, prompts, background, format and the other settings
    format_before: Mapped[str | None]  # format to return to when the background is opaque again
    checks: Mapped[Json | None]  # key of a matte, and the times in seconds at which to review it
    progress: Mapped[Json | None]  # stage, frames done and in total, rate, seconds left
    error: Mapped[str | None]  # sentence in English
    error_message: Mapped[Json | None]  # its key and fields; NULL in rows of earlier versions
    queued_at: Mapped[datetime | None]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    beat_at: Mapped[datetime | None]  # latest heartbeat of its run

    results: Mapped[list[Result]] = relationship(
        order_by="Result.created_at.desc(), Result.id.desc()",
        lazy="selectin",
        cascade="all, delete-orphan",
        passive_deletes=True,
    )

    __table_args__ = (
        Index("ix_sessions_newest", "created_at", "id"),
        Index("ix_sessions_owner", "owner_id", "created_at", "id"),
        Index("ix_sessions_changed", "owner_id", "changed_at", "id"),
    )


class RunRow(Base):
    """Run of a session: that its job was queued, and in the end what became of it.

    The newest run of a session is in the session's state; `state` and the columns after it are written when
    the next one is queued.
    """

    __tablename__ = "runs"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    session_id: Mapped[UUID] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    idempotency_hash: Mapped[str | None]  # SHA-256 of its owner and the key of the request that asked for it
    created_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    state: Mapped[State | None]
    error: Mapped[str | None]  # sentence in English
    error_message: Mapped[Json | None]  # its key and fields
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        Index("ix_runs_session", "session_id", "created_at", "id"),
        Index("ix_runs_idempotency", "idempotency_hash", unique=True),
    )


class Result(Base):
    """Result of a session: a file and how it was made."""

    __tablename__ = "results"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    session_id: Mapped[UUID] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    run_id: Mapped[UUID | None] = mapped_column(ForeignKey("runs.id", ondelete="SET NULL"))
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    format: Mapped[str]
    background: Mapped[str]
    model: Mapped[str]
    file: Mapped[str]  # a name inside the session's folder
    bytes: Mapped[int] = mapped_column(BigInteger)
    frames: Mapped[int]
    seconds: Mapped[float]
    key: Mapped[str | None]  # hash of all that the result depends on; NULL in the oldest rows
    notes: Mapped[list[str]] = mapped_column(server_default="{}")  # sentences in English on unmet settings
    note_messages: Mapped[list[Json]] = mapped_column(
        server_default="[]"
    )  # their keys and fields; empty in rows of earlier versions

    __table_args__ = (
        Index("ix_results_newest", "session_id", "created_at", "id"),
        Index("ix_results_run", "run_id"),
    )


class Webhook(Base):
    """Address that is told of the ends of its owner's runs; without an owner it is the local user's."""

    __tablename__ = "webhooks"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    owner_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    url: Mapped[str]
    events: Mapped[list[str]]
    secret: Mapped[str]  # as it is, for each body is signed with it
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    delivered_at: Mapped[datetime | None]  # the latest delivery that was taken
    failing_since: Mapped[datetime | None]  # the first failure after that
    disabled_at: Mapped[datetime | None]  # it has failed for too long, and is told nothing more
    error: Mapped[str | None]  # sentence in English on the latest failure
    error_message: Mapped[Json | None]  # its key and fields

    __table_args__ = (Index("ix_webhooks_owner", "owner_id", "created_at", "id"),)


class Delivery(Base):
    """Event that a webhook has not taken yet."""

    __tablename__ = "deliveries"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    webhook_id: Mapped[UUID] = mapped_column(ForeignKey("webhooks.id", ondelete="CASCADE"))
    event: Mapped[str]
    body: Mapped[str]  # the same at each attempt
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    attempts: Mapped[int] = mapped_column(server_default="0")
    due_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (
        Index("ix_deliveries_due", "due_at", "id"),
        Index("ix_deliveries_webhook", "webhook_id"),
    )
