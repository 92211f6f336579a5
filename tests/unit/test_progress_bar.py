"""Progress on a terminal: one line, rewritten in place, and never in a log."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import sys
import termios

import pytest

from remote_models._progress_bar import (
    CLEAR_LINE,
    ProgressBar,
    format_size,
    is_terminal,
    progress_callback,
)
from remote_models.errors import ArgumentError
from remote_models.storage import ProgressMeter, TransferProgress


class Terminal(io.StringIO):
    """Text that believes to be a terminal of 80 columns."""

    def isatty(self) -> bool:
        return True


def moment(transferred: int, seconds: float, *, total: int = 2_000_000, url: str = "s3://b/m"
           ) -> TransferProgress:  # fmt: skip
    return TransferProgress(
        operation="upload", url=url, transferred=transferred, total=total, seconds=seconds
    )


def lines(stream: io.StringIO) -> list[str]:
    """Return what has been drawn, one string for each time."""
    return stream.getvalue().split(CLEAR_LINE)[1:]


def test_a_line_says_what_where_how_much_how_fast_and_how_long() -> None:
    stream = Terminal()
    ProgressBar(stream)(moment(500_000, 2))
    assert stream.getvalue() == (
        f"{CLEAR_LINE}upload s3://b/m   25%  500.0 kB of 2.0 MB  250.0 kB/s  0:06 left"
    )


def test_the_last_line_stays() -> None:
    stream = Terminal()
    ProgressBar(stream)(moment(2_000_000, 4))
    assert lines(stream) == ["upload s3://b/m  100%  2.0 MB of 2.0 MB  500.0 kB/s  4.0 s\n"]


def test_what_is_over_at_once_is_not_drawn() -> None:
    stream = Terminal()
    bar = ProgressBar(stream)
    bar(moment(0, 0))
    bar(moment(2_000_000, 0.4))
    assert stream.getvalue() == ""


def test_it_is_not_drawn_more_than_ten_times_a_second() -> None:
    stream = Terminal()
    bar = ProgressBar(stream)
    for step in range(1001):
        bar(moment(step, 1 + step / 1000, total=10_000))
    assert 9 <= len(lines(stream)) <= 11


def test_the_last_line_is_drawn_even_if_it_is_early() -> None:
    stream = Terminal()
    bar = ProgressBar(stream)
    bar(moment(1, 1))
    bar(moment(2_000_000, 1.01))
    assert lines(stream)[-1].endswith("\n")


def test_an_empty_transfer_is_complete() -> None:
    stream = Terminal()
    ProgressBar(stream, quiet_seconds=0)(moment(0, 0, total=0))
    assert lines(stream) == ["upload s3://b/m  100%  0 B of 0 B  0 B/s  0.0 s\n"]


@pytest.mark.parametrize("url", ["s3://bucket/" + "x" * 300 + "/the-end", "s3://b/m"])
def test_a_line_fits_the_terminal_and_keeps_the_end_of_the_url(url: str) -> None:
    stream = Terminal()
    ProgressBar(stream)(moment(500_000, 2, url=url))
    assert len(lines(stream)[0]) < 80
    assert url[-8:] in lines(stream)[0]
    assert ("..." in lines(stream)[0]) == (len(url) > 80)


def test_a_name_cannot_steer_the_terminal() -> None:
    stream = Terminal()
    ProgressBar(stream)(moment(1, 2, url="s3://b/\x1b[2J\n\x9b"))
    assert lines(stream)[0].isprintable()


@pytest.mark.parametrize("columns", [20, 60, 120])
def test_the_width_is_that_of_the_terminal(columns: int) -> None:
    ours, theirs = pty.openpty()
    try:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        with open(theirs, "w") as stream:
            ProgressBar(stream)(moment(500_000, 2, url="s3://bucket/" + "x" * 300))
            drawn = os.read(ours, 1000).decode()
    finally:
        os.close(ours)
    assert len(drawn.removeprefix(CLEAR_LINE)) == columns - 1


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"), (999, "999 B"), (999.6, "1.0 kB"), (1000, "1.0 kB"), (1234, "1.2 kB"),
        (999_949, "999.9 kB"), (999_950, "1.0 MB"), (999_999, "1.0 MB"), (10**6, "1.0 MB"),
        (999_999_999, "1.0 GB"), (2.5e9, "2.5 GB"), (999_999_999_999, "1.0 TB"),
        (10**15, "1000.0 TB"),
    ],
)  # fmt: skip
def test_sizes_are_for_people(size: float, text: str) -> None:
    assert format_size(size) == text


def test_nobody_is_told_if_nobody_watches(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert progress_callback(None) is None  # standard error is captured here: no terminal
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert isinstance(progress_callback(None), ProgressBar)
    assert progress_callback(False) is None


def test_a_bar_that_is_asked_for_is_drawn_at_once_wherever_it_goes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bar = progress_callback(True)
    assert bar is not None
    bar(moment(0, 0))
    assert "upload s3://b/m    0%" in capsys.readouterr().err


@pytest.mark.parametrize("progress", [None, True, False])
def test_without_standard_error_there_is_no_bar(
    monkeypatch: pytest.MonkeyPatch, progress: bool | None
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert progress_callback(progress) is None


def test_a_callable_is_told_itself() -> None:
    told: list[TransferProgress] = []
    assert progress_callback(told.append) == told.append
    meter = ProgressMeter("verify", "s3://b/m", 5, progress_callback(told.append))
    meter.advance(5)
    assert [each.transferred for each in told] == [0, 5]
    assert told[-1].finished


@pytest.mark.parametrize("progress", [1, "yes", b""])
def test_anything_else_is_refused(progress: bool) -> None:
    with pytest.raises(ArgumentError, match="True, False, None or a callable"):
        progress_callback(progress)


class Broken(Terminal):
    """A terminal that went away."""

    writes = 0

    def write(self, text: str) -> int:
        self.writes += 1
        raise BrokenPipeError


def test_a_terminal_that_went_away_fails_no_transfer() -> None:
    stream = Broken()
    bar = ProgressBar(stream)
    bar(moment(1, 1))
    bar(moment(2, 2))
    assert stream.writes == 1


def test_a_closed_terminal_fails_no_transfer() -> None:
    stream = Terminal()
    bar = ProgressBar(stream)
    stream.close()
    bar(moment(1, 1))
    assert not is_terminal(stream)
    assert not is_terminal(None)
    assert not is_terminal(io.StringIO())
