"""Database: an Optuna storage on which several calls make one transaction.

Optuna commits every call for itself, so a process that is killed between two calls would leave half
a record, and two processes could both take what each saw free. Here its sessions are bound, for the
length of a ``with database.transaction()``, to one connection whose outer transaction is committed
at the end: all or nothing, and writers one after another.
"""

from __future__ import annotations

import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from ..errors import StoreError

if TYPE_CHECKING:
    from optuna.storages import BaseStorage, RDBStorage
    from sqlalchemy.engine import URL, Connection

_WRITE = "latentnas_write"


class Database:
    """An Optuna storage with transactions.

    SQLite files are kept in write-ahead mode, so readers never block the writer; a committed
    transaction survives ``kill -9``, one that was not committed leaves no trace. Write-ahead mode
    needs a local disk. A file is one with its neighbours ``-wal`` and ``-shm`` while it is in use or
    after a kill: copy the three together.

    Thread-safe: a lock lets one thread in at a time. Ctrl-C waits for the end of what the main thread
    is doing here; a second one does not.

    Args:
        url: a database URL as Optuna and SQLAlchemy take it, or the path of an SQLite file; None
            keeps everything in memory, for this process alone and without rollback.
        create: create what is missing (an SQLite file and its parent folders, Optuna's tables).
        timeout: seconds to wait for another writer of an SQLite file.

    Raises:
        StoreError: the URL cannot be reached, or is something else than an Optuna storage.
    """

    def __init__(self, url: str | Path | None, *, create: bool = False, timeout: float = 60.0) -> None:
        self._lock = threading.RLock()
        self._rdb: RDBStorage | None = None
        if url is None:
            from optuna.storages import InMemoryStorage

            self.url, self.shown = None, "memory"
            self.storage: BaseStorage = InMemoryStorage()
            return
        parsed = _parse(url)
        self.url, self.shown = parsed.render_as_string(hide_password=False), parsed.render_as_string()
        with self._errors():
            self._rdb = _open(parsed, create, timeout)
        self._renew()

    def _renew(self) -> None:
        from optuna.storages import get_storage

        self.storage = get_storage(self._rdb)

    @contextmanager
    def reading(self) -> Iterator[BaseStorage]:
        """The storage, for calls that only read."""
        with _interrupts_wait(), self._lock, self._errors():
            yield self.storage

    @contextmanager
    def transaction(self, study_id: int | None = None) -> Iterator[BaseStorage]:
        """The storage, for calls that are committed together at the end of the block.

        An exception in the block undoes them all. What is read in the block is what all earlier
        transactions of every process left. Blocks are not nested.

        Args:
            study_id: the study that is written to (the lock, on servers); None when there is none yet.
        """
        with _interrupts_wait(), self._lock, self._errors():
            if self._rdb is None:
                yield self.storage
                return
            rdb = self._rdb
            try:
                with rdb.engine.connect().execution_options(**{_WRITE: True}) as connection, connection.begin():
                    if study_id is not None:
                        _lock_study(connection, study_id)
                    rdb.remove_session()
                    # Optuna flushes by itself where it reads what it wrote; doing so before every read is slow.
                    rdb.scoped_session.configure(
                        bind=connection, join_transaction_mode="create_savepoint", autoflush=False
                    )
                    try:
                        yield self.storage
                    finally:
                        rdb.remove_session()
                        rdb.scoped_session.configure(
                            bind=rdb.engine, join_transaction_mode="conditional_savepoint", autoflush=True
                        )
            except BaseException:
                self._renew()  # Optuna's cache may hold what was undone
                raise

    def trial_attributes(self, trial_id: int) -> dict[str, Any]:
        """User attributes of a trial as they are now; for use in a block. Much cheaper than the whole trial."""
        return (self._rdb or self.storage).get_trial_user_attrs(trial_id)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """Turn the database's errors into one StoreError with the reason."""
        from optuna.exceptions import StorageInternalError
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (SQLAlchemyError, StorageInternalError, sqlite3.Error, ImportError, OSError) as error:
            raise StoreError(f"the store {self.shown} cannot be used: {_reason(error)}") from error

    def close(self) -> None:
        """Give the connections back; the last one to leave an SQLite file tidies its neighbours up."""
        if self._rdb is not None:
            with self._lock:
                self._rdb.remove_session()
                self._rdb.engine.dispose()


@contextmanager
def _interrupts_wait() -> Iterator[None]:
    """Hold Ctrl-C back until the end of the block.

    Raised inside SQLAlchemy it may be swallowed (in the callback of a weak reference), or leave a
    connection that keeps the file locked. Handlers of the caller's own are left alone.
    """
    default = signal.default_int_handler
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is not default:
        yield
        return
    held: list[int] = []

    def hold(number: int, frame: FrameType | None) -> None:
        if held:
            raise KeyboardInterrupt
        held.append(number)

    signal.signal(signal.SIGINT, hold)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, default)
        if held:
            raise KeyboardInterrupt


def _parse(url: str | Path) -> URL:
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    text = str(url)
    if "://" not in text:
        text = f"sqlite:///{text}"
    try:
        parsed = make_url(text)
    except (SQLAlchemyError, ValueError) as error:
        raise StoreError(f"no database URL: {error}; expected for example sqlite:///runs/demo.db") from None
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise StoreError(f"the URL {text!r} names no file; give one (sqlite:///runs/demo.db), or no store at all")
    if "{" in text or "}" in text:
        raise StoreError("a store's URL must not contain braces, Optuna takes them for a template")
    return parsed


def _open(url: URL, create: bool, timeout: float) -> RDBStorage:
    from optuna.storages import RDBStorage
    from sqlalchemy import event
    from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError

    sqlite = url.get_backend_name() == "sqlite"
    if sqlite:
        _prepare_sqlite(url, create, timeout)
    text = url.render_as_string(hide_password=False)
    for tries_left in reversed(range(5)):
        try:
            rdb = RDBStorage(text, engine_kwargs={"connect_args": {"timeout": timeout}} if sqlite else None)
            break
        except (IntegrityError, OperationalError, ProgrammingError) as error:
            # Two processes that make the tables at the same time: what is missing is made again.
            if ("exists" not in str(error) and not isinstance(error, IntegrityError)) or tries_left == 0:
                raise
            time.sleep(0.2)
        except RuntimeError as error:  # the tables are another Optuna version's
            raise StoreError(f"the store {url.render_as_string()} cannot be used: {error}") from None
    if sqlite:
        event.listen(rdb.engine, "connect", _take_over_transactions)
        event.listen(rdb.engine, "begin", _begin)
        rdb.engine.dispose()  # connections that were opened before the listeners
    return rdb


def _prepare_sqlite(url: URL, create: bool, timeout: float) -> None:
    """Check that the file is an Optuna storage or may become one, and switch on write-ahead mode."""
    from optuna.storages._rdb.models import BaseModel

    path = Path(str(url.database))
    if create:
        path.parent.mkdir(parents=True, exist_ok=True)
    elif not path.is_file():
        raise StoreError(f"there is no store {path}: no such file")
    with closing(sqlite3.connect(path, timeout=timeout)) as connection:
        names = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        known = {*BaseModel.metadata.tables, "alembic_version"}
        if ("studies" not in names and not names <= known) or not (names or create):
            raise StoreError(f"{path} is an SQLite file but holds no campaign: it has no Optuna tables")
        deadline = time.monotonic() + timeout
        while True:
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError:  # another process has just this moment, too
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


def _take_over_transactions(connection: sqlite3.Connection, record: Any) -> None:
    # Python's sqlite3 begins transactions late, after the first reads; the listener below does it in time.
    connection.isolation_level = None


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITE)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _lock_study(connection: Connection, study_id: int) -> None:
    """Let writers of one study in one after another; SQLite's BEGIN IMMEDIATE has done so already."""
    from sqlalchemy import text

    if connection.dialect.name != "sqlite":
        connection.execute(text("SELECT study_id FROM studies WHERE study_id = :id FOR UPDATE"), {"id": study_id})


def _reason(error: BaseException) -> str:
    """The database's own words, without the statement and links that SQLAlchemy adds."""
    if isinstance(error, ImportError):
        return f"its driver is not installed: {error.__cause__ or error}"
    if error.__cause__ is not None and type(error).__name__ == "StorageInternalError":
        error = error.__cause__
    original = getattr(error, "orig", None)
    return " ".join(str(original or error).split())
