"""The fast client for S3: the contract of every store, and what is its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue
from typing import Any, ClassVar

import fsspec
import pytest
from blind_spots import WHOLE_VERSIONS, blind
from fsspec.config import conf
from obstore import exceptions as obstore_exceptions

from remote_models.errors import (
    AccessDeniedError,
    ArgumentError,
    BucketNotFoundError,
    ConflictError,
    CredentialsError,
    MissingDependencyError,
    ModelNotFoundError,
    RemoteModelsError,
    StorageError,
    StoreUnavailableError,
)
from remote_models.storage import Location, Publication, Store, open_store
from remote_models.storage._obstore import ObstoreStore
from remote_models.storage._obstore_client import connect
from remote_models.storage._obstore_settings import Credentials, S3Settings, read_settings
from remote_models.storage._s3 import S3Store
from remote_models.testing import Emulator, set_environment
from storage import test_conformance as conformance
from storage.test_conformance import sizes

NO_EMPTY_PARTS = "obstore refuses keys with an empty part; 'auto' leaves them to s3fs"


class TestOnSeaweedFS(conformance.TestSeaweedFS):
    client: ClassVar[str] = "obstore"

    def test_it_is_obstore(self, store: Store) -> None:
        assert isinstance(store, ObstoreStore)


class TestOnMoto(conformance.TestMoto):
    client: ClassVar[str] = "obstore"
    merges_slashes = NO_EMPTY_PARTS


class TestWithoutS3fs(conformance.TestSeaweedFS):
    """Large files that may not be there yet wait on this machine and travel on commit."""

    client: ClassVar[str] = "obstore"

    @pytest.fixture
    def store(self, base: Location) -> Store:
        settings = read_settings(base, os.environ, insist=True)
        assert isinstance(settings, S3Settings)
        return ObstoreStore(settings, lambda _config: None)

    def test_nothing_waits_on_the_disk(
        self, store: Store, base: Location, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tempfile.tempdir", "/nowhere")
        data = conformance.RANDOM[: conformance.LARGE]
        conformance.commit(store, base.join("object"), data)
        assert bytes(store.read(base.join("object"), 0, len(data))) == data

    def test_the_store_answers_while_uploads_wait_for_their_commit(
        self, store: Store, base: Location
    ) -> None:
        """More of them than obstore has threads, probably."""
        data = conformance.RANDOM[: conformance.LARGE]
        with Publication(store) as publication:
            for number in range(6):
                publication.stage(base.join(f"object-{number}"), len(data), [data])
            assert store.list(base) == {}
            publication.commit(lambda _location, _committed: None)
        assert len(store.list(base)) == 6

    def test_an_upload_that_fails_says_so_to_the_writer(self, store: Store, base: Location) -> None:
        missing = Location.parse("s3://test-no-such-bucket/object", base.storage_options)
        data = conformance.RANDOM[: conformance.LARGE]
        staged = store.stage(missing, 100 * len(data))

        def write_all() -> None:
            for _ in range(100):
                with store.errors(missing):
                    staged.write(data)

        with pytest.raises(BucketNotFoundError):
            write_all()
        staged.discard()

    def test_more_than_one_request_takes_is_refused_early(
        self, store: Store, base: Location
    ) -> None:
        with pytest.raises(MissingDependencyError, match=r"remote_models\[s3\]"):
            store.stage(base.join("object"), 5 * 1024**3 + 1, if_absent=True)


class TestVersions(conformance.TestVersions):
    client: ClassVar[str] = "obstore"

    @pytest.fixture(params=["seaweed", "moto", blind("ministack", WHOLE_VERSIONS)])
    def versioned_base(self, request: pytest.FixtureRequest, buckets: Any) -> Location:
        base: Location = buckets.prefix(request.getfixturevalue(request.param), versioning=True)
        return base


@pytest.fixture
def insist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMOTE_MODELS_CLIENT", "obstore")


@pytest.fixture
def auto(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REMOTE_MODELS_CLIENT")


@pytest.mark.usefixtures("insist")
@pytest.mark.parametrize("base_fixture", ["s3_base", "moto_base", "ministack_base"])
def test_without_versions_there_is_none(request: pytest.FixtureRequest, base_fixture: str) -> None:
    conformance.test_without_versions_there_is_none(request, base_fixture)


@pytest.mark.usefixtures("insist")
def test_markers_of_folders_are_no_files(s3_base: Location) -> None:
    filesystem = fsspec.filesystem("s3", **s3_base.storage_options)
    bucket, _, prefix = s3_base.path.partition("/")
    for key in ("folder/", "folder/file"):
        filesystem.call_s3("put_object", Bucket=bucket, Key=f"{prefix}/{key}", Body=b"")
    assert sizes(open_store(s3_base).list(s3_base)) == {"folder/file": 0}


@pytest.mark.usefixtures("insist")
def test_keys_that_obstore_cannot_name_are_listed_by_s3fs(moto_base: Location) -> None:
    filesystem = fsspec.filesystem("s3", **moto_base.storage_options)
    for key in ("a", "folder//b"):
        filesystem.pipe_file(f"{moto_base.path}/{key}", b"x")
    assert sizes(open_store(moto_base).list(moto_base)) == {"a": 1, "folder//b": 1}


@pytest.mark.usefixtures("insist")
@pytest.mark.parametrize("name", ["a/../b", "a/./b"])
def test_names_that_obstore_refuses(s3_base: Location, name: str) -> None:
    store = open_store(s3_base)
    with pytest.raises(ArgumentError):
        store.read(s3_base.join(name), 0, 1)
    with pytest.raises(ArgumentError, match="bucket"):
        store.head(Location.parse(f"s3://{s3_base.path.partition('/')[0]}"))


# Which client


OPTIONS: Mapping[str, Any] = {
    "key": "k",
    "secret": "s",
    "client_kwargs": {"region_name": "eu-west-1", "endpoint_url": "http://127.0.0.1:1"},
}
S3 = Location.parse("s3://bucket/key", OPTIONS)


def test_fsspec_on_demand() -> None:
    assert isinstance(open_store(S3), S3Store)


@pytest.mark.usefixtures("insist")
def test_obstore_on_demand() -> None:
    assert isinstance(open_store(S3), ObstoreStore)


@pytest.mark.usefixtures("auto")
def test_obstore_where_it_serves() -> None:
    assert isinstance(open_store(S3), ObstoreStore)
    for path, options in {
        "bucket/key": {**OPTIONS, "requester_pays": True},
        "bucket/a//b": OPTIONS,
        "UPPER_case/key": OPTIONS,
    }.items():
        assert isinstance(open_store(Location.parse(f"s3://{path}", options)), S3Store)


@pytest.mark.usefixtures("auto")
def test_s3fs_where_obstore_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    assert isinstance(open_store(S3), S3Store)


@pytest.mark.usefixtures("insist")
def test_what_obstore_cannot_do_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArgumentError, match="requester_pays") as caught:
        open_store(Location.parse("s3://bucket/key", {**OPTIONS, "requester_pays": True}))
    assert caught.value.where == "s3://bucket/key"
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(MissingDependencyError, match=r"remote_models\[fast\]"):
        open_store(S3)


@pytest.mark.usefixtures("insist")
def test_other_schemes_are_not_concerned(local_base: Location, memory_base: Location) -> None:
    for base in (local_base, memory_base, Location.parse("gs://bucket/key", {"token": "anon"})):
        assert not isinstance(open_store(base), ObstoreStore)


def test_an_unknown_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REMOTE_MODELS_CLIENT", "boto3")
    with pytest.raises(ArgumentError, match="auto or fsspec or obstore"):
        open_store(S3)


@pytest.mark.usefixtures("auto")
def test_neither_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore", None)
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"].__dict__["_registry"], "s3", raising=False)
    with pytest.raises(MissingDependencyError, match=r"remote_models\[s3\]"):
        open_store(S3)


def test_s3fs_is_not_imported(s3_base: Location) -> None:
    """Not even where it is installed, as long as no file above 8 MiB is written."""
    script = (
        "import sys\n"
        "from remote_models.storage import Location, Publication, open_store\n"
        "base = Location.parse(sys.argv[1], eval(sys.argv[2]))\n"
        "store = open_store(base)\n"
        "with Publication(store) as publication:\n"
        "    publication.stage(base.join('a'), 5, [b'hello'])\n"
        "    publication.commit(lambda location, version: None)\n"
        "assert [(n, i.size) for n, i in store.list(base).items()] == [('a', 5)]\n"
        "assert store.read(base.join('a'), 1, 3) == b'el'\n"
        "print(sorted({'s3fs', 'aiobotocore', 'botocore', 'aiohttp'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, s3_base.url, repr(dict(s3_base.storage_options))],
        env={**os.environ, "REMOTE_MODELS_CLIENT": "auto"},
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout == "[]\n"


def in_child(store: Store, base: Location, answers: SimpleQueue[object]) -> None:
    try:
        answers.put(bytes(store.read(base.join("object"), 0, 5)))
    except StorageError as error:
        answers.put(str(error))
    answers.put(type(open_store(base)).__name__)


@pytest.mark.usefixtures("auto")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_is_left_to_s3fs(s3_base: Location) -> None:
    """obstore's threads are not copied by a fork: there it would wait for ever."""
    store = open_store(s3_base)
    conformance.publish(store, s3_base.join("object"), b"hello")
    context = get_context("fork")
    answers: SimpleQueue[object] = context.SimpleQueue()
    child = context.Process(target=in_child, args=(store, s3_base, answers))
    child.start()
    child.join(30)
    assert child.exitcode == 0
    assert "forked" in str(answers.get())
    assert answers.get() == "S3Store"


# Options and environment


def settings(
    options: Mapping[str, Any],
    environment: Mapping[str, str],
    *,
    path: str = "bucket/key",
    insist: bool = False,
) -> S3Settings | str:
    nowhere = {"AWS_CONFIG_FILE": os.devnull}
    location = Location.parse(f"s3://{path}", options)
    return read_settings(location, {**nowhere, **environment}, insist=insist)


KEYS = {"AWS_ACCESS_KEY_ID": "K", "AWS_SECRET_ACCESS_KEY": "S"}
REGION = {"AWS_REGION": "eu-west-1"}


@pytest.mark.parametrize(
    ("options", "environment", "expected"),
    [
        ({"key": "k", "secret": "s"}, REGION, {"credentials": ("k", "s", None)}),
        ({"key": "k", "secret": "s", "token": "t"}, REGION, {"credentials": ("k", "s", "t")}),
        ({}, {**KEYS, **REGION}, {"credentials": ("K", "S", None), "source": "given"}),
        ({}, {**KEYS, **REGION, "AWS_SESSION_TOKEN": "T"}, {"credentials": ("K", "S", "T")}),
        ({}, {**KEYS, **REGION, "AWS_SECURITY_TOKEN": "T"}, {"credentials": ("K", "S", "T")}),
        (
            {"key": "k", "secret": "s"},
            {**KEYS, **REGION, "AWS_SESSION_TOKEN": "T"},
            {"credentials": ("k", "s", None)},
        ),
        ({"anon": True}, {**KEYS, **REGION}, {"source": "anonymous", "credentials": None}),
        (
            {},
            {**REGION, "AWS_WEB_IDENTITY_TOKEN_FILE": "f", "AWS_ROLE_ARN": "a"},
            {"source": "environment"},
        ),
        (
            {},
            {**REGION, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/x"},
            {"source": "environment"},
        ),
        ({}, {**KEYS, **REGION}, {"endpoint": None, "region": "eu-west-1", "path_style": False}),
        ({}, {**KEYS, **REGION, "AWS_DEFAULT_REGION": "r"}, {"region": "r"}),
        ({}, {**KEYS, "AWS_ENDPOINT_URL": "http://h:1"}, {"endpoint": "http://h:1"}),
        ({}, {**KEYS, "AWS_ENDPOINT_URL": "http://h:1/"}, {"region": "us-east-1"}),
        (
            {},
            {**KEYS, "AWS_ENDPOINT_URL": "http://h:1", "AWS_ENDPOINT_URL_S3": "http://h:2"},
            {"endpoint": "http://h:2"},
        ),
        (
            {"endpoint_url": "https://h/"},
            {**KEYS, "AWS_ENDPOINT_URL_S3": "http://h:2"},
            {"endpoint": "https://h"},
        ),
        (
            {"client_kwargs": {"endpoint_url": "https://h", "region_name": "r"}},
            {**KEYS, **REGION},
            {"endpoint": "https://h", "region": "r"},
        ),
        (
            {"config_kwargs": {"s3": {"addressing_style": "path"}}},
            {**KEYS, **REGION},
            {"path_style": True},
        ),
        ({"client_kwargs": None, "config_kwargs": {}}, {**KEYS, **REGION}, {"source": "given"}),
        ({"use_listings_cache": False}, {**KEYS, **REGION}, {"source": "given"}),
    ],
)
def test_options_are_understood(
    options: Mapping[str, Any], environment: Mapping[str, str], expected: Mapping[str, Any]
) -> None:
    found = settings(options, environment)
    assert isinstance(found, S3Settings), found
    for name, value in expected.items():
        actual = getattr(found, name)
        if isinstance(actual, Credentials):
            actual = (actual.key, actual.secret, actual.token)
        assert actual == value


GIVEN = {"key": "k", "secret": "s"}


@pytest.mark.parametrize(
    ("options", "environment", "reason"),
    [
        ({**GIVEN, "profile": "p"}, {}, "profile"),
        ({**GIVEN, "requester_pays": True}, {}, "requester_pays"),
        ({**GIVEN, "nonsense": 1}, {}, "nonsense"),
        ({**GIVEN, "client_kwargs": {"verify": False}}, {}, "verify"),
        ({**GIVEN, "client_kwargs": 3}, {}, "not a mapping"),
        ({**GIVEN, "client_kwargs": {"region_name": 3}}, {}, "no text"),
        ({**GIVEN, "config_kwargs": {"retries": {}}}, {}, "retries"),
        ({**GIVEN, "config_kwargs": {"s3": {"use_accelerate_endpoint": True}}}, {}, "accelerate"),
        ({**GIVEN, "config_kwargs": {"s3": {"addressing_style": "virtual"}}}, {}, "addressing"),
        ({"key": "k"}, {}, "incomplete"),
        ({"secret": "s"}, {}, "incomplete"),
        ({"token": "t"}, {}, "incomplete"),
        ({"key": 3, "secret": "s"}, {}, "no text"),
        ({**GIVEN, "endpoint_url": "no URL"}, {}, "endpoint"),
        ({**GIVEN, "endpoint_url": "http://user:password@h"}, {}, "endpoint"),
        ({**GIVEN, "endpoint_url": "http://h/path"}, {}, "endpoint"),
        (
            {**GIVEN, "endpoint_url": "http://h", "client_kwargs": {"endpoint_url": "http://h"}},
            {},
            "two endpoints",
        ),
        (GIVEN, {"AWS_PROFILE": "p"}, "AWS_PROFILE"),
        (GIVEN, {"AWS_CA_BUNDLE": "p"}, "AWS_CA_BUNDLE"),
        (GIVEN, {"AWS_ENDPOINT": "http://h"}, "AWS_ENDPOINT"),
        (GIVEN, {"AWS_REGION": "cn-north-1"}, "cn-north-1"),
    ],
)
@pytest.mark.parametrize("insist", [False, True])
def test_what_is_left_to_s3fs(
    options: Mapping[str, Any], environment: Mapping[str, str], reason: str, *, insist: bool
) -> None:
    found = settings(options, {**REGION, **environment}, insist=insist)
    assert isinstance(found, str)
    assert reason in found
    assert "password" not in found


@pytest.mark.parametrize(
    ("options", "environment", "source"),
    [
        ({}, REGION, "instance"),
        ({}, {**REGION, "AWS_ACCESS_KEY_ID": "K"}, "instance"),
        ({}, {**REGION, "AWS_EC2_METADATA_DISABLED": "true"}, "nowhere"),
        ({}, {**REGION, "AWS_ROLE_ARN": "a"}, "instance"),
        (GIVEN, {}, "given"),
    ],
)
def test_what_boto_might_know_better(
    options: Mapping[str, Any], environment: Mapping[str, str], source: str
) -> None:
    assert isinstance(settings(options, environment), str)
    found = settings(options, environment, insist=True)
    assert isinstance(found, S3Settings)
    assert found.source == source


def test_a_configuration_of_boto_is_obeyed(tmp_path: Any) -> None:
    (tmp_path / "config").write_text("[default]\nendpoint_url = http://h\n")
    environment = {**KEYS, **REGION, "AWS_CONFIG_FILE": str(tmp_path / "config")}
    assert isinstance(settings({}, environment), str)
    assert isinstance(settings({"endpoint_url": "http://h"}, environment), S3Settings)


def test_a_configuration_of_fsspec_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(conf, "s3", {"endpoint_url": "http://h:7"})
    found = settings(GIVEN, REGION)
    assert isinstance(found, S3Settings)
    assert found.endpoint == "http://h:7"
    monkeypatch.setitem(conf, "s3", {"requester_pays": True})
    assert isinstance(settings(GIVEN, REGION), str)


def test_settings_keep_secrets() -> None:
    found = settings({"key": "KEY", "secret": "SECRET", "token": "TOKEN"}, REGION)
    assert not {"KEY", "SECRET", "TOKEN"} & set(repr(found).replace("'", " ").split())


@pytest.mark.usefixtures("auto")
def test_the_environment_of_another_server_does_not_win(
    seaweed: Emulator, s3_base: Location, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor a token that belongs to another key: obstore reads the environment by itself."""
    with set_environment(seaweed):
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
        monkeypatch.setenv("AWS_SESSION_TOKEN", "of another key")
        monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
        monkeypatch.setenv("AWS_BUCKET", "another")
        store = open_store(s3_base)
        assert isinstance(store, ObstoreStore)
        conformance.publish(store, s3_base.join("object"), b"hello")
        assert store.read(s3_base.join("object"), 0, 9) == b"hello"


@pytest.mark.parametrize(
    ("endpoint", "bucket", "path_style", "virtual"),
    [
        (None, "bucket", False, True),
        (None, "bucket", True, False),
        (None, "bucket.with.dots", False, False),
        ("http://h", "bucket", False, False),
    ],
)
def test_addressing(endpoint: str | None, bucket: str, *, path_style: bool, virtual: bool) -> None:
    client = connect(
        S3Settings(
            region="eu-west-1",
            endpoint=endpoint,
            source="given",
            credentials=Credentials(key="k", secret="s"),
            path_style=path_style,
        ),
        bucket,
    )
    assert str(client.config["virtual_hosted_style_request"]).lower() == str(virtual).lower()


# Errors


def translated(kind: type[Exception], text: str, *, source: Any = "given") -> Exception | None:
    made = S3Settings(region="r", endpoint=None, source=source, credentials=None, path_style=False)
    return ObstoreStore(made, lambda _config: None)._translate(kind(text), S3)


def answer(code: str) -> str:
    return f'status code: 400: <?xml version="1.0"?>\n<Error><Code>{code}</Code></Error>'


KINDS: Sequence[type[Exception]] = [
    kind
    for kind in vars(obstore_exceptions).values()
    if isinstance(kind, type) and issubclass(kind, Exception)
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_of_obstore_is_translated(kind: type[Exception]) -> None:
    error = translated(kind, "text")
    assert isinstance(error, RemoteModelsError)
    assert error.where == "s3://bucket/key"
    assert "text" not in str(error)


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (FileNotFoundError, answer("NoSuchKey"), ModelNotFoundError),
        (FileNotFoundError, answer("NoSuchBucket"), BucketNotFoundError),
        (FileNotFoundError, "", ModelNotFoundError),
        (obstore_exceptions.PermissionDeniedError, answer("InvalidAccessKeyId"), CredentialsError),
        (obstore_exceptions.PermissionDeniedError, answer("ExpiredToken"), CredentialsError),
        (obstore_exceptions.PermissionDeniedError, answer("AccessDenied"), AccessDeniedError),
        (obstore_exceptions.PermissionDeniedError, "", AccessDeniedError),
        (obstore_exceptions.AlreadyExistsError, answer("PreconditionFailed"), ConflictError),
        (obstore_exceptions.GenericError, answer("ConditionalRequestConflict"), ConflictError),
        (obstore_exceptions.GenericError, answer("SlowDown"), StoreUnavailableError),
        (obstore_exceptions.GenericError, answer("PermanentRedirect"), StorageError),
        (obstore_exceptions.GenericError, answer("AnythingNew"), StorageError),
        (obstore_exceptions.GenericError, "no answer", StoreUnavailableError),
        (ValueError, "a path", ArgumentError),
    ],
)
def test_errors(kind: type[Exception], text: str, expected: type[RemoteModelsError]) -> None:
    assert type(translated(kind, text)) is expected


def test_no_answer_where_credentials_are_sought() -> None:
    found = translated(obstore_exceptions.GenericError, "no answer", source="instance")
    assert isinstance(found, CredentialsError)


def test_errors_of_ours_and_mistakes_pass_unchanged() -> None:
    for kind in (ModelNotFoundError, ArgumentError, ZeroDivisionError):
        assert translated(kind, "text") is None
