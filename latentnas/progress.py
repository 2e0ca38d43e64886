"""Progress of long work: a bar on a terminal, a plain line now and then everywhere else."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID


def format_seconds(seconds: float | None) -> str:
    """A duration that people read at a glance: ``0.4 s``, ``12 s``, ``3:05``, ``1:02:09``; ``-`` where unknown."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    if seconds < 10:
        return f"{max(seconds, 0.0):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def format_number(value: float, digits: int = 4) -> str:
    """A number with at most ``digits`` significant digits, whole numbers with thousands separators."""
    if not math.isfinite(value):
        return str(value)
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.{digits}g}"


class Progress:
    """Shows how far long work has come: ``with Progress(100, "fitting", unit="epoch") as bar: bar.update(loss=0.1)``.

    On a terminal it is one live bar with description, count, rate, elapsed time, time left and the
    latest fields. Elsewhere (a pipe, a log file) it writes a plain line at most every ``interval``
    seconds, and one at the end.

    Args:
        total: units of work; None where it is not known.
        description: what is being done, a few words.
        unit: what one step is, for the rate ("epoch", "cell").
        enabled: False writes nothing at all.
        interval: seconds between plain lines.
        stream: where to write; ``sys.stderr`` by default, so that piped output stays clean.
        clock: returns seconds; replaced by tests.
    """

    def __init__(
        self,
        total: int | None,
        description: str,
        *,
        unit: str = "step",
        enabled: bool = True,
        interval: float = 5.0,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if total is not None and total < 0:
            raise ValueError(f"Progress: total must be at least 0 or None, got {total}")
        self.total, self.description, self.unit = total, description, unit
        self.enabled, self.interval = enabled, interval
        self.done = 0
        self.fields: dict[str, float | str] = {}
        self._stream = stream if stream is not None else sys.stderr
        self._clock = clock
        self._first = 0  # work that was done before the start (resumed), which tells nothing of the rate
        self._start = self._printed = clock()
        self._written: str | None = None
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None

    # --- the work's side ------------------------------------------------------------------------

    def __enter__(self) -> Progress:
        self._start = self._printed = self._clock()
        if self.enabled and self._stream.isatty():
            self._open_bar()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._draw_bar()
            self._bar.stop()
            self._bar = None
        elif self.enabled:
            self._write_line("" if kind is None else "stopped")

    def start_at(self, done: int) -> None:
        """Say that ``done`` units were finished by an earlier run; they do not count in the rate."""
        self.done = self._first = done
        self._start = self._clock()

    def update(self, advance: int = 1, **fields: float | str) -> None:
        """Count ``advance`` more units, and show ``fields`` (loss, accuracy...) beside the bar."""
        self.done += advance
        self.fields.update(fields)
        if not self.enabled:
            return
        if self._bar is not None:
            self._draw_bar()
        elif self._clock() - self._printed >= self.interval:
            self._write_line()

    def note(self, sentence: str) -> None:
        """Write a sentence above the bar, or as a line of its own."""
        if not self.enabled:
            return
        if self._bar is not None:
            self._bar.console.print(sentence, markup=False, highlight=False)
        else:
            print(sentence, file=self._stream, flush=True)

    # --- what is known of it --------------------------------------------------------------------

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return self._clock() - self._start

    @property
    def rate(self) -> float:
        """Units a second, 0 before the first."""
        return (self.done - self._first) / self.elapsed if self.elapsed > 0 else 0.0

    @property
    def remaining(self) -> float | None:
        """Seconds left at the mean rate so far; None where it cannot be said."""
        if self.total is None or self.rate <= 0:
            return None
        return max(self.total - self.done, 0) / self.rate

    # --- the reader's side ----------------------------------------------------------------------

    def _field_text(self) -> str:
        return "  ".join(f"{k} {v if isinstance(v, str) else format_number(v)}" for k, v in self.fields.items())

    def _rate_text(self) -> str:
        rate = self.rate
        if rate <= 0:
            return ""
        if rate < 0.5:
            return f"{format_seconds(1 / rate)}/{self.unit}"
        return f"{rate:,.0f} {self.unit}/s" if rate >= 100 else f"{rate:.2g} {self.unit}/s"

    def _write_line(self, ending: str = "") -> None:
        count = f"{self.done:,}" if self.total is None else f"{self.done:,}/{self.total:,}"
        parts = [f"{self.description}: {self.unit} {count}", self._field_text(), self._rate_text()]
        left = self.remaining
        over = ending or (self.total is not None and self.done >= self.total)
        parts.append(f"{format_seconds(self.elapsed)} elapsed")
        if left is not None and not over:
            parts.append(f"{format_seconds(left)} left")
        parts.append(ending)
        line = "  ".join(part for part in parts if part)
        if line != self._written:
            print(line, file=self._stream, flush=True)
        self._printed, self._written = self._clock(), line

    def _open_bar(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[count]}"),
            TextColumn("{task.fields[fields]}", markup=False, style="cyan"),
            TextColumn("{task.fields[rate]}", markup=False),
            TextColumn("{task.fields[times]}"),
        )
        console = Console(file=self._stream)
        self._bar = RichProgress(*columns, console=console, refresh_per_second=5)
        self._task = self._bar.add_task(self.description, total=self.total, count="", fields="", rate="", times="")
        self._bar.start()

    def _draw_bar(self) -> None:
        assert self._bar is not None and self._task is not None
        count = f"{self.done:,}" if self.total is None else f"{self.done:,}/{self.total:,}"
        times = format_seconds(self.elapsed)
        left = self.remaining
        if left is not None and self.total is not None and self.done < self.total:
            times += f", {format_seconds(left)} left"
        self._bar.update(
            self._task,
            completed=self.done,
            count=count,
            fields=self._field_text(),
            rate=self._rate_text(),
            times=times,
        )
