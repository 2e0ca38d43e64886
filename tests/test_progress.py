"""Progress: plain lines, the bar on a terminal, silence; times and rates by a clock that the test moves."""

from __future__ import annotations

import io

import pytest

from latentnas.progress import Progress, format_number, format_seconds


class Clock:
    """Seconds that only the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.44, "0.4 s"),
        (12.3, "12 s"),
        (59.7, "1:00"),
        (185, "3:05"),
        (3729, "1:02:09"),
        (None, "-"),
        (float("inf"), "-"),
    ],
)
def test_durations_are_read_at_a_glance(seconds: float | None, text: str) -> None:
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1.23456, "1.235"), (0.98, "0.98"), (15625, "15,625"), (3.0, "3"), (float("nan"), "nan")]
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert format_number(value) == text


def test_plain_lines_come_at_most_every_interval_and_once_at_the_end() -> None:
    clock, stream = Clock(), io.StringIO()
    with Progress(10, "fitting", unit="epoch", stream=stream, clock=clock, interval=5) as bar:
        for epoch in range(10):
            clock.now += 2
            bar.update(loss=1.0 / (epoch + 1), state="ok")
    lines = stream.getvalue().splitlines()
    # 2 s an epoch: lines after 6, 12 and 18 s, and the last one at 20 s.
    assert len(lines) == 4
    assert lines[0] == "fitting: epoch 3/10  loss 0.3333  state ok  0.5 epoch/s  6.0 s elapsed  14 s left"
    assert lines[-1] == "fitting: epoch 10/10  loss 0.1  state ok  0.5 epoch/s  20 s elapsed"


def test_rate_counts_only_work_of_this_run() -> None:
    clock = Clock()
    with Progress(100, "resumed", stream=io.StringIO(), clock=clock) as bar:
        bar.start_at(60)
        clock.now += 10
        bar.update(20)
        assert bar.done == 80
        assert bar.rate == pytest.approx(2.0)
        assert bar.remaining == pytest.approx(10.0)


def test_unknown_total_has_no_time_left() -> None:
    clock, stream = Clock(), io.StringIO()
    with Progress(None, "reading", unit="row", stream=stream, clock=clock) as bar:
        clock.now += 1
        bar.update(5000)
        assert bar.remaining is None
    assert stream.getvalue() == "reading: row 5,000  5,000 row/s  1.0 s elapsed\n"


def test_an_error_says_that_the_work_stopped() -> None:
    stream = io.StringIO()
    with pytest.raises(RuntimeError), Progress(4, "work", stream=stream) as bar:
        bar.update()
        raise RuntimeError("broken")
    assert stream.getvalue().splitlines()[-1].endswith("stopped")


def test_notes_are_lines_of_their_own() -> None:
    stream = io.StringIO()
    with Progress(1, "work", stream=stream) as bar:
        bar.note("the rate was [halved]")
    assert stream.getvalue().splitlines()[0] == "the rate was [halved]"


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()], ids=["file", "terminal"])
def test_disabled_is_silent(stream: io.StringIO) -> None:
    with Progress(3, "work", enabled=False, stream=stream, interval=0) as bar:
        bar.update(3, loss=1.0)
        bar.note("nobody hears this")
    assert stream.getvalue() == ""


def test_terminal_shows_a_bar_with_its_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    clock, stream = Clock(), Terminal()
    with Progress(8, "fitting [x]", unit="epoch", stream=stream, clock=clock) as bar:
        clock.now += 4
        bar.update(2, loss=0.25)
        bar.note("half [way]")
    text = stream.getvalue()
    for part in ("fitting [x]", "2/8", "loss 0.25", "0.5 epoch/s", "4.0 s, 12 s left", "half [way]"):
        assert part in text


def test_negative_total_is_refused() -> None:
    with pytest.raises(ValueError, match="total must be at least 0 or None, got -1"):
        Progress(-1, "work")
