"""The questions that the benchmark answers, each with the answer that is wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from benchmarks._cases import Group
from benchmarks._samples import Sample, Samples, Spread

__all__ = ["Answer", "answers"]

_MIB = 1024 * 1024
_OBSTORE, _S3FS = "remote_models (obstore)", "remote_models (fsspec)"
_SAVED = "save_remote_models (auto)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What was found.

    Attributes:
        question: What was asked.
        unit: What it is counted in.
        target: The most that is wanted; ``None`` where it is only told.
        reached: What was measured.
    """

    question: str
    unit: str
    target: float | None
    reached: Spread

    @property
    def ok(self) -> bool:
        """Whether the target is reached, if there is one."""
        return self.target is None or self.reached.median <= self.target


def answers(samples: Samples, groups: Sequence[Group]) -> list[Answer]:
    """Return the answers to all questions whose groups have been measured."""
    plan = {group.name: group for group in groups}
    found: list[Answer] = []
    if "load" in plan:
        found += _loading(samples, plan["load"])
    if "load at 25 ms" in plan:
        found += _late(samples)
    for name in ("save weights.h5", "save keras"):
        if name in plan:
            found += _saving(samples, plan[name])
    found += _growing(samples, groups)
    return found


def _loading(samples: Samples, group: Group) -> Iterator[Answer]:
    model = group.cases[0].artifact.stack.nbytes
    here = samples.cases(group.name)
    ratios: tuple[tuple[str, str, str, Callable[[Sample], float], float], ...] = (
        ("time: load with obstore / Keras from disk", _OBSTORE, "keras_local", _wall, 0.35),
        ("time: load with s3fs / Keras from disk", _S3FS, "keras_local", _wall, 0.5),
        ("time: load with obstore / its bare transfer", _OBSTORE, "get_obstore", _wall, 1.3),
        ("time: load with s3fs / its bare transfer", _S3FS, "get_s3fs", _wall, 1.3),
        ("CPU: load with obstore / its bare transfer", _OBSTORE, "get_obstore", _cpu, 2.5),
        ("CPU: load with s3fs / its bare transfer", _S3FS, "get_s3fs", _cpu, 2.0),
    )
    for question, case, other, what, target in ratios:
        if {case, other} <= here:
            reached = samples.ratio(group.name, case, other, what)
            yield Answer(question=question, unit="x", target=target, reached=reached)
    for name, case in (("obstore", _OBSTORE), ("s3fs", _S3FS)):
        if case in here:
            yield Answer(
                question=f"memory: load with {name}, peak above the model",
                unit="MiB",
                target=128,
                reached=samples.spread(
                    group.name, case, lambda each: (each.reading.peak_extra - model) / _MIB
                ),
            )


def _late(samples: Samples) -> Iterator[Answer]:
    for name, case, other in (
        ("obstore", _OBSTORE, "get_obstore"),
        ("s3fs", _S3FS, "get_s3fs"),
    ):
        yield Answer(
            question=f"time at 25 ms: load with {name} / its bare transfer",
            unit="x",
            target=1.5,
            reached=samples.ratio("load at 25 ms", case, other, _wall),
        )


def _saving(samples: Samples, group: Group) -> Iterator[Answer]:
    what = f"save of `.{group.cases[0].artifact.format}`"
    here = samples.cases(group.name)
    bare = sorted(case for case in here if case.startswith("put_"))
    fastest = min(bare, key=lambda case: samples.spread(group.name, case, _wall).median)
    for other, target in ((fastest, 1.2), ("put_s3fs", None), ("save_keras_local", None)):
        if other in here:
            yield Answer(
                question=f"time: {what} / {other}",
                unit="x",
                target=target,
                reached=samples.ratio(group.name, _SAVED, other, _wall),
            )
    yield Answer(
        question=f"memory: {what}, peak above the model",
        unit="MiB",
        target=128,
        reached=samples.spread(group.name, _SAVED, lambda each: each.reading.peak_extra / _MIB),
    )
    yield Answer(
        question=f"disk: bytes written by a {what}",
        unit="MB",
        target=0,
        reached=samples.spread(group.name, _SAVED, lambda each: each.reading.written / 1e6),
    )


def _growing(samples: Samples, groups: Sequence[Group]) -> Iterator[Answer]:
    """Does the cost grow with the bytes, and how much does a tensor cost?"""
    by_size = [each for each in groups if each.name.startswith("stream") and "MB" in each.name]
    for less, more in pairwise(by_size):
        sizes = [each.cases[0].artifact.stack for each in (less, more)]
        yield Answer(
            question=f"time per byte: tensors of {sizes[1].megabytes:,} MB "
            f"/ of {sizes[0].megabytes:,} MB, with obstore",
            unit="x",
            target=1.2,
            reached=_per_unit(samples, less, more, "stream (obstore)"),
        )
    for kind, case, target in (
        ("stream", "stream (obstore)", 100),
        ("stream", "stream (fsspec)", 100),
        ("stream", "get_obstore", None),
        ("load", _OBSTORE, None),
        ("load", "keras_local", None),
    ):
        by_count = [
            each
            for each in groups
            if each.name.startswith(kind)
            and each.name.endswith("tensors")
            and case in samples.cases(each.name)
        ]
        if len(by_count) > 1:
            few, many = by_count[0], by_count[-1]
            yield Answer(
                question=f"time per tensor: {case}, "
                f"{_tensors(few):,} to {_tensors(many):,} tensors of the same bytes",
                unit="us",
                target=target,
                reached=_per_tensor(samples, few, many, case),
            )


def _per_unit(samples: Samples, less: Group, more: Group, case: str) -> Spread:
    growth = more.cases[0].artifact.stack.nbytes / less.cases[0].artifact.stack.nbytes
    pairs = zip(samples.of(less.name, case), samples.of(more.name, case), strict=True)
    return Spread.of([_wall(large) / _wall(small) / growth for small, large in pairs])


def _per_tensor(samples: Samples, few: Group, many: Group, case: str) -> Spread:
    more = _tensors(many) - _tensors(few)
    pairs = zip(samples.of(few.name, case), samples.of(many.name, case), strict=True)
    return Spread.of([(_wall(late) - _wall(early)) / more * 1e6 for early, late in pairs])


def _tensors(group: Group) -> int:
    return group.cases[0].artifact.stack.tensors


def _wall(sample: Sample) -> float:
    return sample.reading.wall


def _cpu(sample: Sample) -> float:
    return sample.reading.cpu
