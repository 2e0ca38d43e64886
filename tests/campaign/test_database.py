from __future__ import annotations

import os
import signal
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from latentnas.campaign.database import Database
from latentnas.errors import StoreError


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "runs" / "deep" / "store.db", create=True)


def new_study(database: Database, name: str = "a") -> int:
    from optuna.study import StudyDirection

    with database.transaction() as storage:
        return storage.create_new_study([StudyDirection.MAXIMIZE], name)


def test_calls_of_a_transaction_are_kept_or_undone_together(database: Database) -> None:
    study = new_study(database)
    with database.transaction(study) as storage:
        storage.set_study_user_attr(study, "kept", 1)
        storage.create_new_trial(study)
    with pytest.raises(ZeroDivisionError), database.transaction(study) as storage:
        storage.set_study_user_attr(study, "undone", 1)
        storage.create_new_trial(study)
        raise ZeroDivisionError
    with database.reading() as storage:
        assert storage.get_study_user_attrs(study) == {"kept": 1}
        assert [trial.number for trial in storage.get_all_trials(study)] == [0]


def test_nobody_sees_a_transaction_before_its_end(database: Database) -> None:
    study = new_study(database)
    assert database.url is not None
    other = Database(database.url)
    with database.transaction(study) as storage:
        storage.set_study_user_attr(study, "x", 1)
        with other.reading() as elsewhere:
            assert elsewhere.get_study_user_attrs(study) == {}
    with other.reading() as elsewhere:
        assert elsewhere.get_study_user_attrs(study) == {"x": 1}


def test_ctrl_c_waits_for_the_end_of_a_transaction(database: Database) -> None:
    study = new_study(database)
    with pytest.raises(KeyboardInterrupt), database.transaction(study) as storage:
        os.kill(os.getpid(), signal.SIGINT)
        storage.set_study_user_attr(study, "after", 1)
    with pytest.raises(KeyboardInterrupt), database.reading():
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with database.reading() as storage:
        assert storage.get_study_user_attrs(study) == {"after": 1}


def test_a_second_ctrl_c_undoes_the_transaction_at_once(database: Database) -> None:
    study = new_study(database)
    with pytest.raises(KeyboardInterrupt), database.transaction(study) as storage:
        storage.set_study_user_attr(study, "undone", 1)
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("not reached")
    with database.transaction(study) as storage:  # nothing is left locked
        assert storage.get_study_user_attrs(study) == {}


def test_writers_come_one_after_another(database: Database) -> None:
    """Reading and writing back in one transaction loses no update: 2 writers x 20 increments = 40."""
    study = new_study(database)
    with database.transaction(study) as storage:
        storage.set_study_user_attr(study, "count", 0)

    def increment() -> None:
        assert database.url is not None
        mine = Database(database.url)
        for _ in range(20):
            with mine.transaction(study) as storage:
                count = storage.get_study_user_attrs(study)["count"]
                time.sleep(0.001)
                storage.set_study_user_attr(study, "count", count + 1)
        mine.close()

    threads = [threading.Thread(target=increment) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.reading() as storage:
        assert storage.get_study_user_attrs(study) == {"count": 40}


def test_opening_at_the_same_time(tmp_path: Path) -> None:
    faults: list[BaseException] = []

    def open_it() -> None:
        try:
            Database(tmp_path / "store.db", create=True).close()
        except StoreError as error:
            faults.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    study = new_study(Database(tmp_path / "store.db"))
    assert study == 1


def test_a_text_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_text("no database at all, but a text that is long enough to be read as one\n" * 9)
    with pytest.raises(StoreError, match=r"store\.db.*not a database"):
        Database(tmp_path / "store.db", create=True)


def test_another_programs_sqlite_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "music.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="no Optuna tables"):
        Database(path, create=True)
    assert path.read_bytes() == before


def test_a_truncated_file(database: Database) -> None:
    study = new_study(database)
    with database.transaction(study) as storage:
        storage.set_study_user_attr(study, "x", "y" * 30_000)
    database.close()
    path = Path(str(database.url).removeprefix("sqlite:///"))
    path.write_bytes(path.read_bytes()[:9_000])
    with pytest.raises(StoreError, match=r"malformed|not a database"):
        damaged = Database(path)
        with damaged.reading() as storage:
            storage.get_study_user_attrs(study)


def test_missing_file_is_not_created_for_reading(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no such file"):
        Database(tmp_path / "none.db")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="unable to open"):
        Database(tmp_path, create=True)


def test_a_locked_file(database: Database) -> None:
    study = new_study(database)
    path = str(database.url).removeprefix("sqlite:///")
    impatient = Database(path, timeout=0.1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"), impatient.transaction(study):
            pytest.fail("the file is another's")
        other.execute("ROLLBACK")
    with impatient.transaction(study) as storage:
        storage.set_study_user_attr(study, "x", 1)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense://host/db", "nonsense"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///a{b}.db", "braces"),
        ("://", "no database URL"),
    ],
)
def test_urls_that_lead_nowhere(url: str, words: str) -> None:
    with pytest.raises(StoreError, match=words):
        Database(url, create=True)


def test_messages_hide_passwords() -> None:
    with pytest.raises(StoreError) as caught:
        Database("nonsense://user:secret@host/db", create=True)
    assert "secret" not in str(caught.value)


def test_memory() -> None:
    database = Database(None)
    study = new_study(database)
    with database.transaction(study) as storage:
        storage.set_study_user_attr(study, "x", 1)
    with database.reading() as storage:
        assert storage.get_study_user_attrs(study) == {"x": 1}
    assert database.url is None
