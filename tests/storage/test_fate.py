"""What became of a commit that was answered with an error: each answer, each finding."""

from __future__ import annotations

import pytest

from remote_models.errors import (
    AccessDeniedError,
    AmbiguousCommitError,
    BucketNotFoundError,
    ConflictError,
    ModelNotFoundError,
    StorageError,
    StoreFullError,
    StoreUnavailableError,
)
from remote_models.storage import (
    CommittedFile,
    Location,
    ObjectInfo,
    Publication,
    StagedFile,
    Store,
    TransferSettings,
    open_store,
)
from remote_models.storage._memory import MemoryStore
from remote_models.storage._retry import RetryPolicy

OURS, OTHERS, CUT, NOTHING = "ours", "another writer's", "ours, but cut off", "nothing"


class Answering(MemoryStore):
    """A store that does what it is asked for or not, and answers what it likes."""

    may_lose_answers = True

    def __init__(self, base: Location, error: Exception, there: str) -> None:
        super().__init__(open_store(base)._filesystem)
        self.transfer = TransferSettings(retry=RetryPolicy(sleep=lambda _seconds: None))
        self.error = error
        self.there = there
        self.silence: StorageError | None = None
        self.looks = 0

    def stage(
        self,
        location: Location,
        size: int,
        *,
        if_absent: bool = False,
        if_match: str | None = None,
    ) -> StagedFile:
        staged = super().stage(location, size)
        commit = staged.commit

        def answer() -> CommittedFile:
            if self.there in (OURS, CUT):
                commit()
            elif self.there == OTHERS:
                super(Answering, self).stage(location, size).commit()
            raise self.error

        staged.commit = answer  # type: ignore[method-assign]
        return staged

    def head(self, location: Location, *, version: str | None = None) -> ObjectInfo:
        self.looks += 1
        if self.silence is not None:
            raise self.silence
        return super().head(location, version=version)


def commit(store: Store, location: Location, *, condition: str = "") -> CommittedFile:
    committed: list[CommittedFile] = []
    with Publication(
        store,
        if_absent=condition == "absent",
        if_match="known" if condition == "match" else None,
    ) as publication:
        publication.stage(location, 4, [b"data"])
        publication.commit(lambda _, each: committed.append(each))
    return committed[0]


LOST = [
    StoreUnavailableError("lost"), ConflictError("refused"), ModelNotFoundError("no such upload"),
    StorageError("anything"), ConnectionResetError("lost"), FileExistsError("refused"),
]  # fmt: skip


@pytest.mark.parametrize("error", LOST, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("condition", ["", "absent", "match"])
def test_what_is_ours_is_committed(memory_base: Location, error: Exception, condition: str) -> None:
    store = Answering(memory_base, error, OURS)
    location = memory_base.join("object")
    committed = commit(store, location, condition=condition)
    assert committed.etag == store.head(location).etag


@pytest.mark.parametrize("error", LOST, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("condition", ["absent", "match"])
def test_what_is_anothers_is_a_conflict(
    memory_base: Location, error: Exception, condition: str
) -> None:
    store = Answering(memory_base, error, OTHERS)
    with pytest.raises(ConflictError, match="another writer") as caught:
        commit(store, memory_base.join("object"), condition=condition)
    assert caught.value.where == str(memory_base.join("object"))


@pytest.mark.parametrize("there", [OTHERS, NOTHING])
def test_without_a_condition_it_is_what_the_store_said(memory_base: Location, there: str) -> None:
    error = StoreUnavailableError("lost")
    with pytest.raises(StoreUnavailableError) as caught:
        commit(Answering(memory_base, error, there), memory_base.join("object"))
    assert caught.value is error


def test_what_was_to_be_replaced_is_gone(memory_base: Location) -> None:
    """S3 says 404 of it, and not 412."""
    store = Answering(memory_base, ModelNotFoundError("no such key"), NOTHING)
    with pytest.raises(ConflictError, match="another writer"):
        commit(store, memory_base.join("object"), condition="match")
    store = Answering(memory_base, BucketNotFoundError("no such bucket"), NOTHING)
    with pytest.raises(BucketNotFoundError):
        commit(store, memory_base.join("object"), condition="match")


@pytest.mark.parametrize("if_absent", [False, True])
def test_what_is_ours_and_cut_off_is_neither_committed_nor_anothers(
    memory_base: Location, *, if_absent: bool
) -> None:
    store = Answering(memory_base, StorageError("not what was sent"), CUT)
    location = memory_base.join("object")
    with Publication(store, if_absent=if_absent) as publication:
        publication.stage(location, 4, [b"data"])
        publication._staged[0] = publication._staged[0]._replace(size=5)
        with pytest.raises(StorageError, match="not what was sent"):
            publication.commit(lambda _, __: None)


@pytest.mark.parametrize("silence", [StoreUnavailableError("gone"), AccessDeniedError("no")])
@pytest.mark.parametrize("error", LOST, ids=lambda error: type(error).__name__)
def test_where_nobody_says_it_is_not_known(
    memory_base: Location, error: Exception, silence: StorageError
) -> None:
    store = Answering(memory_base, error, OURS)
    store.silence = silence
    with pytest.raises(AmbiguousCommitError, match=r"verify_model\(url\)") as caught:
        commit(store, memory_base.join("object"))
    assert str(silence) in str(caught.value.found)


@pytest.mark.parametrize("error", [AccessDeniedError("no"), StoreFullError("full")])
def test_what_is_certain_is_not_asked_about(memory_base: Location, error: StorageError) -> None:
    store = Answering(memory_base, error, NOTHING)
    with pytest.raises(type(error)):
        commit(store, memory_base.join("object"))
    assert store.looks == 0


@pytest.mark.parametrize("kind", ["local", "memory"])
def test_here_no_answer_is_lost(request: pytest.FixtureRequest, kind: str) -> None:
    base: Location = request.getfixturevalue(f"{kind}_base")
    store = open_store(base)
    assert not store.may_lose_answers
    commit(store, base.join("object"), condition="absent")
    with pytest.raises(ConflictError, match="overwrite=True"):
        commit(store, base.join("object"), condition="absent")
