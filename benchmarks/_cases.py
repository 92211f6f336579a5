"""What is measured: groups of cases that are compared with each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from benchmarks._models import TINY, Artifact, Stack

__all__ = ["Case", "Group", "artifacts_of", "full_plan", "small_plan"]

Server = Literal["range server", "seaweedfs"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One peer moving one artifact.

    Attributes:
        peer: A key of ``PEERS``.
        artifact: What it moves.
        client: What REMOTE_MODELS_CLIENT says; empty where no remote_models is at work.
        turns: How many turns at most, where the group has more than this one needs.
    """

    peer: str
    artifact: Artifact
    client: str = ""
    turns: int | None = None

    @property
    def label(self) -> str:
        """How it is called in tables."""
        return f"{self.peer} ({self.client})" if self.client else self.peer


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Cases that take turns.

    Attributes:
        name: How it is called.
        title: What is measured, for readers.
        cases: The peers, the one that others are compared with first.
        repeats: How often each takes its turn.
        latency: Seconds before each answer of the server.
        server: Which server.
    """

    name: str
    title: str
    cases: Sequence[Case]
    repeats: int
    latency: float = 0.0
    server: Server = "range server"


def full_plan() -> list[Group]:
    """Return what answers the questions."""
    gigabyte = Stack(megabytes=1000, tensors=32)
    return [
        *_groups(gigabyte, repeats=5),
        *_by_size([10, 100, 1000], tensors=32, repeats=3),
        *_by_tensors([10, 100, 1000, 10_000], megabytes=100, repeats=3),
        *_on_seaweedfs(Stack(megabytes=100, tensors=32), repeats=3),
    ]


def small_plan() -> list[Group]:
    """Return some of it in small, each once: does it still run?

    Importing TensorFlow takes longest, so few processes do.
    """
    few = {
        "keras_local", "remote_models (obstore)", "get_obstore", "get_s3fs", "get_curl",
        "save_remote_models (auto)", "put_obstore", "put_s3fs", "stream (obstore)",
    }  # fmt: skip
    groups = [
        *_groups(Stack(megabytes=10, tensors=32), repeats=1),
        *_by_size([1, 10], tensors=4, repeats=1),
        *_by_tensors([4, 100], megabytes=1, repeats=1),
    ]
    names = {"load", "save keras", "stream 1 MB", "stream 10 MB", "stream 4 tensors",
             "stream 100 tensors"}  # fmt: skip
    return [
        replace(group, cases=[case for case in group.cases if case.label in few])
        for group in groups
        if group.name in names
    ]


def artifacts_of(groups: Sequence[Group]) -> set[Artifact]:
    """Return all that has to be made, tiny ones included."""
    named = {case.artifact for group in groups for case in group.cases}
    return named | {Artifact(stack=TINY, format=each.format) for each in named}


def _groups(stack: Stack, *, repeats: int) -> Iterator[Group]:
    keras, weights, legacy, safetensors = (
        Artifact(stack=stack, format=name) for name in ("keras", "weights.h5", "h5", "safetensors")
    )
    yield Group(
        name="load",
        title=f"Load a whole `.keras` of {stack.megabytes:,} MB",
        cases=[
            Case(peer="keras_local", artifact=keras),
            *_ours("remote_models", keras),
            Case(peer="s3fs_keras", artifact=keras, turns=3),
            Case(peer="boto3_keras", artifact=keras, turns=3),
            *_gets(keras),
            Case(peer="get_curl", artifact=keras),
            Case(peer="runai", artifact=safetensors),
        ],
        repeats=repeats,
    )
    yield Group(
        name="load at 25 ms",
        title=f"Load a whole `.keras` of {stack.megabytes:,} MB, each answer 25 ms late",
        cases=[*_ours("remote_models", keras), *_gets(keras)],
        repeats=repeats,
        latency=0.025,
    )
    for name, artifact in (("load weights", weights), ("load h5", legacy)):
        yield Group(
            name=name,
            title=f"Load a `.{artifact.format}` of {stack.megabytes:,} MB",
            cases=[
                Case(peer="keras_local", artifact=artifact),
                Case(peer="remote_models", artifact=artifact, client="obstore"),
            ],
            repeats=min(repeats, 3),
        )
    for artifact in (weights, keras):
        yield Group(
            name=f"save {artifact.format}",
            title=f"Save a `.{artifact.format}` of {stack.megabytes:,} MB",
            cases=[
                Case(peer="save_keras_local", artifact=artifact),
                Case(peer="save_remote_models", artifact=artifact, client="auto"),
                Case(peer="save_keras_s3fs", artifact=artifact, turns=3),
                Case(peer="save_keras_boto3", artifact=artifact, turns=3),
                *(
                    Case(peer=peer, artifact=artifact)
                    for peer in ("put_obstore", "put_s3fs", "put_boto3")
                ),
            ],
            repeats=repeats,
        )


def _by_size(sizes: Sequence[int], *, tensors: int, repeats: int) -> Iterator[Group]:
    for size in sizes:
        artifact = Artifact(stack=Stack(megabytes=size, tensors=tensors), format="weights.h5")
        yield Group(
            name=f"stream {size} MB",
            title=f"Read {tensors} tensors of {size:,} MB, without a framework",
            cases=[*_gets(artifact), *_ours("stream", artifact)],
            repeats=repeats,
        )


def _by_tensors(counts: Sequence[int], *, megabytes: int, repeats: int) -> Iterator[Group]:
    for count in counts:
        stack = Stack(megabytes=megabytes, tensors=count)
        artifact = Artifact(stack=stack, format="weights.h5")
        yield Group(
            name=f"stream {count} tensors",
            title=f"Read {count:,} tensors of {megabytes:,} MB, without a framework",
            cases=[*_gets(artifact), *_ours("stream", artifact)],
            repeats=repeats,
        )
        if count in {min(counts), 1000}:  # Keras itself needs minutes for more
            keras = artifact.in_format("keras")
            yield Group(
                name=f"load {count} tensors",
                title=f"Load a whole `.keras` of {megabytes:,} MB in {count:,} tensors",
                cases=[
                    Case(peer="keras_local", artifact=keras),
                    Case(peer="remote_models", artifact=keras, client="obstore"),
                ],
                repeats=repeats,
            )


def _on_seaweedfs(stack: Stack, *, repeats: int) -> Iterator[Group]:
    artifact = Artifact(stack=stack, format="keras")
    yield Group(
        name="load from SeaweedFS",
        title=f"Load a whole `.keras` of {stack.megabytes:,} MB from SeaweedFS",
        cases=[
            *_ours("remote_models", artifact),
            Case(peer="s3fs_keras", artifact=artifact),
            Case(peer="boto3_keras", artifact=artifact),
            *_gets(artifact),
        ],
        repeats=repeats,
        server="seaweedfs",
    )
    yield Group(
        name="save to SeaweedFS",
        title=f"Save a `.keras` of {stack.megabytes:,} MB to SeaweedFS",
        cases=[
            Case(peer="save_remote_models", artifact=artifact, client="auto"),
            Case(peer="save_keras_s3fs", artifact=artifact),
            Case(peer="save_keras_boto3", artifact=artifact),
            Case(peer="put_obstore", artifact=artifact),
        ],
        repeats=repeats,
        server="seaweedfs",
    )


def _ours(peer: str, artifact: Artifact) -> Iterator[Case]:
    for client in ("obstore", "fsspec"):
        yield Case(peer=peer, artifact=artifact, client=client)


def _gets(artifact: Artifact) -> Iterator[Case]:
    for peer in ("get_obstore", "get_s3fs"):
        yield Case(peer=peer, artifact=artifact)
