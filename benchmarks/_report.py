"""Tell what was measured: Markdown for readers, JSON for programs."""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from benchmarks._cases import Group
from benchmarks._questions import Answer
from benchmarks._samples import Sample, Samples, Spread

__all__ = ["Report"]

_PACKAGES = ("keras", "tensorflow", "h5py", "obstore", "s3fs", "boto3")
_MARKS = ("<!-- results: written by scripts/benchmark -->\n", "<!-- end of results -->\n")
_MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """All that a run has brought.

    Attributes:
        groups: What was run.
        samples: What was measured.
        answers: What follows.
    """

    groups: Sequence[Group]
    samples: Samples
    answers: Sequence[Answer]

    def to_json(self) -> str:
        """Return everything, each turn of each case included."""
        return json.dumps(
            {
                "when": datetime.now(UTC).isoformat(timespec="seconds"),
                "machine": _machine(),
                "versions": _versions(),
                "answers": [{**asdict(each), "ok": each.ok} for each in self.answers],
                "samples": [asdict(each) for each in self.samples.all],
            },
            indent=1,
        )

    def to_markdown(self) -> str:
        """Return tables: the answers, then each group."""
        versions = ", ".join(f"{name} {number}" for name, number in _versions().items())
        lines = [
            "# Results",
            "",
            f"{datetime.now(UTC):%Y-%m-%d}, {_machine()}; {versions}.",
            "Medians, with the least and the most in brackets. Ratios travel to other machines,",
            "seconds do not.",
            "",
            *self._answer_lines(),
        ]
        for group in self.groups:
            lines += ["", f"## {group.title}", "", *_group_lines(self.samples, group)]
        return "\n".join(lines) + "\n"

    def write(self, folder: Path) -> None:
        """Write ``results.json`` and ``results.md``."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "results.json").write_text(self.to_json() + "\n", encoding="utf-8")
        (folder / "results.md").write_text(self.to_markdown(), encoding="utf-8")

    def write_answers(self, readme: Path) -> None:
        """Put the table of answers between the marks in a text."""
        text = readme.read_text(encoding="utf-8")
        table = "".join(f"{line}\n" for line in self._answer_lines())
        begin, end = _MARKS
        pattern = re.escape(begin) + ".*" + re.escape(end)
        new = re.sub(pattern, lambda _: f"{begin}\n{table}\n{end}", text, flags=re.DOTALL)
        readme.write_text(new, encoding="utf-8")

    def _answer_lines(self) -> list[str]:
        rows = [
            [
                each.question,
                "" if each.target is None else f"at most {each.target:g} {each.unit}",
                f"{_number(each.reached.median)} {each.unit} {_range(each.reached)}",
                "" if each.target is None else ("yes" if each.ok else "**no**"),
            ]
            for each in self.answers
        ]
        return _table(["", "target", "measured", "reached"], rows, left=1)


def _group_lines(samples: Samples, group: Group) -> list[str]:
    reference = group.cases[0].label
    columns: dict[str, Callable[[str], str]] = {
        "": lambda case: case,
        "seconds": lambda case: _told(samples, group, case, lambda each: each.reading.wall),
        f"/ {reference}": lambda case: _number(
            samples.ratio(group.name, case, reference, lambda each: each.reading.wall).median
        ),
        "CPU seconds": lambda case: _told(samples, group, case, lambda each: each.reading.cpu),
        "peak MiB": lambda case: _told(
            samples, group, case, lambda each: each.reading.peak_extra / _MIB, short=True
        ),
        "MB to disk": lambda case: _told(
            samples, group, case, lambda each: each.reading.written / 1e6, short=True
        ),
        "requests": lambda case: _told(
            samples, group, case, lambda each: each.requests, short=True
        ),
        "MB moved": lambda case: _told(
            samples, group, case, lambda each: each.moved and each.moved / 1e6, short=True
        ),
    }
    rows = [[tell(case.label) for tell in columns.values()] for case in group.cases]
    return _table(list(columns), rows, left=1)


def _told(
    samples: Samples,
    group: Group,
    case: str,
    what: Callable[[Sample], float | None],
    *,
    short: bool = False,
) -> str:
    values = [value for each in samples.of(group.name, case) if (value := what(each)) is not None]
    if not values:
        return ""
    spread = Spread.of(values)
    return _number(spread.median) if short else f"{_number(spread.median)} {_range(spread)}"


def _number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _range(spread: Spread) -> str:
    return f"({_number(spread.least)} to {_number(spread.most)})"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, left: int) -> list[str]:
    def lines() -> Iterator[str]:
        yield f"| {' | '.join(heads)} |"
        yield f"|{'---|' * left}{'---:|' * (len(heads) - left)}"
        for row in rows:
            yield f"| {' | '.join(row)} |"

    return list(lines())


def _machine() -> str:
    cores = sum(
        line.startswith("processor") for line in Path("/proc/cpuinfo").read_text().splitlines()
    )
    return f"{cores} cores, {platform.system()} {platform.release()} {platform.machine()}"


def _versions() -> dict[str, str]:
    named = {"Python": platform.python_version()}
    return named | {name: version(name) for name in _PACKAGES}
