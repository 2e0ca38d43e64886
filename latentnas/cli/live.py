"""A running search on the screen: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from ..progress import format_seconds

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

    from ..campaign import SearchProgress

NOTES = 3
"""How many kinds of notes the live table shows, the newest."""


class SearchView:
    """Shows how a search goes; call it with every :class:`~latentnas.campaign.SearchProgress`.

    Notes that differ in their numbers only are shown once, with the last of them at the end.

    Args:
        title: what is searched, one line.
        interval: seconds between plain lines.
        stream: where to write; ``sys.stdout`` by default.
        clock: returns seconds; replaced by tests.
    """

    def __init__(
        self,
        title: str,
        *,
        interval: float = 5.0,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.title, self.interval = title, interval
        self._stream = stream if stream is not None else sys.stdout
        self._clock = clock
        self._printed = clock()
        self._notes: dict[str, list[str]] = {}
        self._last: SearchProgress | None = None
        self._written: str | None = None
        self._live: Live | None = None

    def __enter__(self) -> SearchView:
        if self._stream.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(file=self._stream), refresh_per_second=4)
            self._live.start()
        else:
            print(self.title, file=self._stream, flush=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from ..campaign.notes import collapse_notes

        if self._live is not None:
            if self._last is not None:
                self._live.update(self._table(self._last), refresh=True)
            self._live.stop()
            self._live = None
        elif self._last is not None:
            for same in self._notes.values():
                if len(same) > 1:
                    self._write(f"note: {collapse_notes(same)[0]}")
            self._write(line(self._last))

    def __call__(self, progress: SearchProgress) -> None:
        """Show the newest state."""
        from ..campaign.notes import note_kind

        self._last = progress
        new = [note for note in progress.notes if note_kind(note) not in self._notes]
        for note in progress.notes:
            self._notes.setdefault(note_kind(note), []).append(note)
        if self._live is not None:
            self._live.update(self._table(progress))
            return
        for note in new:
            self._write(f"note: {note}")
        if self._clock() - self._printed >= self.interval:
            self._write(line(progress))

    def _write(self, text: str) -> None:
        if text != self._written:
            print(text, file=self._stream, flush=True)
        self._printed, self._written = self._clock(), text

    def _table(self, progress: SearchProgress) -> RenderableType:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        from ..campaign.notes import collapse_notes
        from ..report.texts import short_cell

        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(overflow="fold")
        head = Table.grid(padding=(0, 1))
        head.add_row(
            f"{progress.done:,} of {progress.budget:,}",
            ProgressBar(total=max(progress.budget, 1), completed=progress.done, width=30),
        )
        grid.add_row("evaluations", head)
        if progress.best is None:
            grid.add_row("best so far", "-")
        else:
            grid.add_row("best so far", Text(f"{progress.best.value:.5g}", style="bold"))
            grid.add_row("its cell", Text(short_cell(progress.best)))
        if progress.regret is not None:
            grid.add_row("regret", f"{progress.regret:.3g}")
        grid.add_row("speed", rate_text(progress.rate) or "-")
        grid.add_row("time left", format_seconds(progress.eta))
        grid.add_row("failed", Text(str(progress.failures), style="yellow" if progress.failures else ""))
        for same in [*self._notes.values()][-NOTES:]:
            grid.add_row("note", Text(collapse_notes(same)[0]))
        return Group(Text(self.title, style="bold"), grid)


def rate_text(rate: float) -> str:
    """Evaluations a second, or seconds an evaluation where that reads better; empty before the first."""
    if rate <= 0:
        return ""
    return f"{rate:.3g} evaluations/s" if rate >= 0.5 else f"{format_seconds(1 / rate)} an evaluation"


def line(progress: SearchProgress) -> str:
    """The state of a search as one plain line."""
    parts = [f"{progress.done:,}/{progress.budget:,} evaluations"]
    if progress.best is not None:
        regret = "" if progress.regret is None else f", regret {progress.regret:.3g}"
        parts.append(f"best {progress.best.value:.5g}{regret}")
    if progress.failures:
        parts.append(f"{progress.failures:,} failed")
    if progress.rate > 0:
        parts.append(rate_text(progress.rate))
    if progress.eta is not None and progress.done < progress.budget:
        parts.append(f"{format_seconds(progress.eta)} left")
    return "  ".join(parts)
