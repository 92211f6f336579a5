"""Measure remote_models against its peers, and write tables, a plot and JSON.

Run it as scripts/benchmark, which sets up what is needed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks._cases import Group, artifacts_of, full_plan, small_plan
from benchmarks._models import make_artifacts
from benchmarks._plot import draw
from benchmarks._questions import answers
from benchmarks._report import Report
from benchmarks._runner import OTHER_PYTHON, Stage, run_group
from benchmarks._samples import Sample, Samples
from benchmarks.server import range_server

_HERE = Path(__file__).parent
_DROP_ABOVE = 1024 * 1024
_CHUNK = 8 * 1024 * 1024


def main() -> int:
    """Run what the command line asks for; return 0 if it ran, whatever it found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="all of it in small, in a minute")
    parser.add_argument("--only", action="append", metavar="GROUP", help="this group (repeatable)")
    parser.add_argument("--repeats", type=int, metavar="N", help="so many turns for each group")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="where results go")
    parser.add_argument(
        "--data", type=Path, default=_HERE / ".data", metavar="FOLDER", help="where models are kept"
    )
    arguments = parser.parse_args()
    groups = _chosen(arguments)
    is_whole = not arguments.small and not arguments.only
    output = arguments.output or (_HERE / "results" if is_whole else arguments.data / "results")
    samples = Samples(list(_measure(groups, arguments.data)))
    report = Report(groups=groups, samples=samples, answers=answers(samples, groups))
    report.write(output)
    draw(samples, groups, output / "results.png")
    if is_whole and not arguments.output:
        report.write_answers(_HERE / "README.md")
    print(report.to_markdown())
    print(f"written to {output}")
    return 0


def _chosen(arguments: argparse.Namespace) -> list[Group]:
    groups = small_plan() if arguments.small else full_plan()
    if arguments.only:
        unknown = set(arguments.only) - {group.name for group in groups}
        if unknown:
            sys.exit(f"no such group: {sorted(unknown)}; there are {[g.name for g in groups]}")
        groups = [group for group in groups if group.name in arguments.only]
    if not OTHER_PYTHON.exists():
        groups = [
            replace(group, cases=[case for case in group.cases if case.peer != "runai"])
            for group in groups
        ]
    if arguments.repeats:
        groups = [replace(group, repeats=arguments.repeats) for group in groups]
    return groups


def _measure(groups: Sequence[Group], data: Path) -> Iterator[Sample]:
    folder = data / "models"
    make_artifacts(artifacts_of(groups), folder)
    begun = time.monotonic()
    for server, stage_of in (("range server", _range_stage), ("seaweedfs", _seaweedfs_stage)):
        here = [group for group in groups if group.server == server]
        if not here:
            continue
        with stage_of(here, data) as stage:
            for group in here:
                _warm(group, folder)
                for sample in run_group(group, stage):
                    _tell(sample, time.monotonic() - begun)
                    yield sample


@contextmanager
def _range_stage(_: Sequence[Group], data: Path) -> Iterator[Stage]:
    saved = data / "saved"
    saved.mkdir(exist_ok=True)
    buckets = {"models": data / "models", "saved": saved}
    with range_server(buckets, drop_above=_DROP_ABOVE) as server:
        yield Stage(
            folder=data / "models",
            environment=server.environment,
            bucket="models",
            target="saved",
            counting=server,
        )


@contextmanager
def _seaweedfs_stage(groups: Sequence[Group], data: Path) -> Iterator[Stage]:
    import remote_models as rm
    from remote_models.testing import seaweedfs

    folder = data / "models"
    with seaweedfs() as emulator:
        bucket = emulator.make_bucket("models")
        emulator.make_bucket("saved")
        for artifact in artifacts_of(groups):
            rm.push_model(
                folder / artifact.name,
                f"{bucket}/{artifact.name}",
                storage_options=dict(emulator.storage_options),
            )
        yield Stage(
            folder=folder,
            environment=emulator.environment,
            bucket="models",
            target="saved",
            counting=None,
        )


def _warm(group: Group, folder: Path) -> None:
    """Have the system hold the files in memory, from where server and Keras read them."""
    for artifact in artifacts_of([group]):
        with (folder / artifact.name).open("rb") as file:
            while file.read(_CHUNK):
                pass
    os.sync()


def _tell(sample: Sample, seconds: float) -> None:
    reading = sample.reading
    print(
        f"{seconds:6.0f} s  {sample.group:22} {sample.case:28} {reading.wall:8.3f} s, "
        f"CPU {reading.cpu:.2f} s, peak {reading.peak_extra / 1e6:,.0f} MB",
        file=sys.stderr,
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
