"""A store that dies, fails or loses a reply at a chosen operation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum

import fsspec

from remote_models.errors import StoreUnavailableError
from remote_models.storage import (
    Buffer,
    CommittedFile,
    Location,
    ObjectInfo,
    StagedFile,
    Store,
    TransferSettings,
)
from remote_models.storage._local import LocalStagedFile
from remote_models.storage._obstore_staging import StagedElsewhere
from remote_models.storage._retry import RetryPolicy
from remote_models.storage._s3_staging import S3StagedFile


class Killed(BaseException):
    """The process is gone. No ``except Exception`` sees it, and the store does nothing more."""


class Fault(Enum):
    """What happens at the chosen operation."""

    KILL = "kill"
    """The process dies before it; nothing that comes later happens either."""

    FAIL = "fail"
    """It fails, once, without having happened."""

    LOSE = "lose"
    """It happens, but its reply is lost: an error, once."""

    OUTAGE = "outage"
    """It and everything after it fails, reads included."""


@dataclass
class Plan:
    """Counts the operations that change a store, and lets the fault happen at one of them."""

    fault: Fault
    at: int
    operations: list[str] = field(default_factory=list)
    applied: list[str] = field(default_factory=list)

    @property
    def reached(self) -> bool:
        """Whether the chosen operation was come to."""
        return len(self.operations) > self.at

    @property
    def step(self) -> str:
        """The chosen operation."""
        return self.operations[self.at]

    @contextmanager
    def operation(self, name: str) -> Iterator[None]:
        number = len(self.operations)
        self.operations.append(name)
        if self.fault is Fault.KILL and number >= self.at:
            raise Killed(name)
        if self.fault is Fault.OUTAGE and number >= self.at:
            raise StoreUnavailableError("outage", where=name)
        if self.fault is Fault.FAIL and number == self.at:
            raise StoreUnavailableError("failure", where=name)
        yield
        self.applied.append(name)
        if self.fault is Fault.LOSE and number == self.at:
            raise StoreUnavailableError("lost reply", where=name)

    def look(self) -> None:
        """Let a read go through, or not."""
        if not self.reached:
            return
        if self.fault is Fault.KILL:
            raise Killed("read")
        if self.fault is Fault.OUTAGE:
            raise StoreUnavailableError("outage", where="read")


class FaultyStore(Store):
    """Another store, seen through a plan."""

    def __init__(self, inner: Store, plan: Plan) -> None:
        super().__init__(fsspec.filesystem("memory"))  # which nothing uses
        self.transfer = TransferSettings(retry=RetryPolicy(sleep=lambda _seconds: None))
        self.refuses = True  # need not be tried: that would be one more operation
        self._inner = inner
        self._plan = plan
        self._staged: list[StagedFile] = []

    @contextmanager
    def errors(self, location: Location) -> Iterator[None]:
        with self._inner.errors(location):
            yield

    def head(self, location: Location, *, version: str | None = None) -> ObjectInfo:
        self._plan.look()
        return self._inner.head(location, version=version)

    def read(
        self,
        location: Location,
        start: int,
        stop: int,
        *,
        version: str | None = None,
        etag: str | None = None,
    ) -> Buffer:
        self._plan.look()
        return self._inner.read(location, start, stop, version=version, etag=etag)

    def list(self, location: Location) -> Mapping[str, ObjectInfo]:
        self._plan.look()
        return self._inner.list(location)

    def list_names(self, folder: Location, prefix: str) -> Mapping[str, ObjectInfo]:
        self._plan.look()
        return self._inner.list_names(folder, prefix)

    def delete(self, location: Location) -> None:
        with self._plan.operation(f"delete {location.name}"):
            self._inner.delete(location)

    def stage(
        self,
        location: Location,
        size: int,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> StagedFile:
        with self._plan.operation(f"stage {location.name}"):
            staged = self._inner.stage(location, size, if_absent=if_absent, if_match=if_match)
            self._staged.append(staged)
        return FaultyStagedFile(staged, self._plan, location.name)

    def make_directory(self, location: Location) -> bool:
        with self._plan.operation(f"make {location.name}"):
            return self._inner.make_directory(location)

    def remove_directory(self, location: Location) -> None:
        with self._plan.operation(f"remove {location.name}"):
            self._inner.remove_directory(location)

    def release(self) -> None:
        """Do what the system does for a process that dies: close its files, end its threads."""
        for each in self._staged:
            staged = each._staged if isinstance(each, StagedElsewhere) else each
            if isinstance(staged, LocalStagedFile):
                staged._file.close()
            elif isinstance(staged, S3StagedFile):
                for part in staged._flying:
                    part.cancel()


class FaultyStagedFile(StagedFile):
    def __init__(self, inner: StagedFile, plan: Plan, name: str) -> None:
        self._inner = inner
        self._plan = plan
        self._name = name
        self.writer = inner.writer

    def write(self, data: bytes | memoryview) -> None:
        with self._plan.operation(f"write {self._name}"):
            self._inner.write(data)

    def commit(self) -> CommittedFile:
        with self._plan.operation(f"commit {self._name}"):
            return self._inner.commit()

    def discard(self) -> None:
        with self._plan.operation(f"discard {self._name}"):
            self._inner.discard()
