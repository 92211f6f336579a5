"""Signed models: what is signed is what is loaded, whole or tensor by tensor."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from weights.artifacts import SAMPLES, delete, flip, get, put

import remote_models as rm
from remote_models.errors import (
    ArgumentError,
    IntegrityError,
    ManifestError,
    ModelNotFoundError,
    RemoteModelsError,
    SignatureError,
)
from remote_models.storage import Location
from signing.keys import KeyPair, key_pair
from signing.models import MODELS, Signed, signed_at

OTHERS = {"saved_model": "keras-3.15.1/exported", "model.keras": "tf_keras-2.21.0/model.keras"}


def digest_of(remote: rm.RemoteModel) -> str | None:
    return remote.manifest.digest if remote.manifest else None


KERNEL = np.arange(6, dtype="float32").reshape(3, 2)


def test_what_is_signed_is_opened_read_verified_and_pulled(signed: Signed, tmp_path: Path) -> None:
    remote = signed.open()
    assert digest_of(remote) == signed.manifest.digest
    assert np.array_equal(remote.weights["dense/kernel"], KERNEL)
    assert signed.verify().ok
    signed.pull(tmp_path / "copy")
    assert get(signed.signature) in [path.read_bytes() for path in tmp_path.rglob("*.sig")]
    other = key_pair()
    for call in (signed.open, signed.verify, lambda **key: signed.pull(tmp_path / "other", **key)):
        with pytest.raises(SignatureError, match="signed with another key"):
            call(public_key=other.public)
    assert not (tmp_path / "other").exists()


def test_a_model_without_a_signature(base: Location, model_name: str, keys: KeyPair) -> None:
    url, options = str(base.join(model_name)), dict(base.storage_options)
    with pytest.raises(ModelNotFoundError):
        rm.open_model(url, public_key=keys.public, storage_options=options)
    rm.push_model(SAMPLES / MODELS[model_name], url, storage_options=options)
    for verb in (rm.open_model, rm.verify_model):
        with pytest.raises(SignatureError, match="the model is not signed"):
            verb(url, public_key=keys.public, storage_options=options)


def test_a_model_saved_again_has_a_signature_that_is_refused_until_it_is_signed(
    signed: Signed,
) -> None:
    old = get(signed.signature)
    again = rm.push_model(
        SAMPLES / OTHERS[signed.location.name], signed.url, storage_options=signed.options
    )
    with pytest.raises(SignatureError, match="one of another manifest") as caught:
        signed.open()
    assert (caught.value.expected, caught.value.found) == (signed.manifest.digest, again.digest)
    assert caught.value.where == str(signed.signature)
    assert digest_of(rm.open_model(signed.url, storage_options=signed.options)) == again.digest
    assert signed.sign(manifest_digest=again.digest).digest == again.digest
    assert get(signed.signature) != old
    assert signed.verify().ok


def damage_a_tensor(signed: Signed) -> None:
    tensor = signed.open().weights["dense/kernel"]
    piece = tensor._entry.pieces[0]
    flip(signed.file(piece.file), piece.offset + 5)


def test_a_flip_in_a_tensor_is_noticed_by_each_verb(signed: Signed, tmp_path: Path) -> None:
    damage_a_tensor(signed)
    remote = signed.open()
    with pytest.raises(IntegrityError):
        np.asarray(remote.weights["dense/kernel"])
    report = signed.verify()
    assert [each.path for each in report.mismatched]
    with pytest.raises(IntegrityError):
        signed.pull(tmp_path / "copy")


def forge_manifest(signed: Signed) -> None:
    """Put a manifest there that vouches for other bytes, as one could who may write."""
    folder = signed.location if signed.is_directory else signed.location.parent
    path = signed.manifest.files[0].path
    put(folder.join(path), get(folder.join(path)) + b"!")
    rm.adopt_model(signed.url, overwrite=True, storage_options=signed.options)


def swap_signature(signed: Signed) -> None:
    """Put the signature there of another model, by the same key."""
    name = next(name for name in MODELS if name != signed.location.name)
    put(signed.signature, get(signed_at(signed.location.parent, name, signed.keys).signature))


TAMPERINGS: dict[str, tuple[Callable[[Signed], object], type[RemoteModelsError]]] = {
    "a forged manifest": (forge_manifest, SignatureError),
    "no manifest": (lambda signed: delete(signed.stored_manifest), SignatureError),
    "a flip in the manifest": (lambda signed: flip(signed.stored_manifest, 40), IntegrityError),
    "no signature": (lambda signed: delete(signed.signature), SignatureError),
    "an empty signature": (lambda signed: put(signed.signature, b""), SignatureError),
    "the signature of another model": (swap_signature, SignatureError),
}


@pytest.mark.parametrize("how", TAMPERINGS)
def test_tampering_ends_before_anything_is_believed(
    signed: Signed, how: str, tmp_path: Path
) -> None:
    tamper, error = TAMPERINGS[how]
    tamper(signed)
    for call in (signed.open, signed.verify, lambda: signed.pull(tmp_path / "copy")):
        with pytest.raises(error):
            call()
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("position", range(0, 2400, 97))
def test_a_flip_in_the_signature(local: Signed, position: int) -> None:
    data = get(local.signature)
    flip(local.signature, position % len(data))
    with pytest.raises(SignatureError):
        local.open()


def test_a_huge_signature_is_not_read(local: Signed) -> None:
    path = Path(local.signature.path)
    path.unlink()
    with path.open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(IntegrityError, match="too large"):
        local.open()


def test_a_foreign_file_in_a_directory_is_reported(base: Location, keys: KeyPair) -> None:
    signed = signed_at(base, "saved_model", keys)
    put(signed.file("variables/more"), b"x")
    put(signed.file(".gitattributes"), b"x")
    report = signed.verify()
    assert report.unexpected == [".gitattributes", "variables/more"]
    assert not report.ok


def test_a_missing_file_is_reported(signed: Signed) -> None:
    path = signed.manifest.files[0].path
    delete(signed.file(path))
    report = signed.verify()
    assert report.missing == [path]


@pytest.mark.parametrize("what", ["file", "folder", "signature", "manifest"])
def test_a_link_is_refused(local_base: Location, keys: KeyPair, what: str) -> None:
    signed = signed_at(local_base, "saved_model", keys)
    root = Path(signed.location.path)
    name = {"file": "saved_model.pb", "folder": "variables", "signature": "model.sig",
            "manifest": "manifest.json"}[what]  # fmt: skip
    shutil.move(root / name, root / "elsewhere")
    os.symlink(root / "elsewhere", root / name)
    with pytest.raises(SignatureError, match="a symbolic link") as caught:
        signed.open()
    assert (caught.value.where or "").startswith(str(root / name))
    if what != "signature":
        with pytest.raises(SignatureError, match="a symbolic link"):
            signed.sign()


def test_a_link_to_the_model_is_followed(local: Signed) -> None:
    folder = Path(local.location.parent.path)
    os.symlink(folder, folder.parent / "link")
    linked = local.at(Location.parse(folder.parent / "link" / local.location.name))
    assert linked.verify().ok


def test_digest_and_signature_must_both_be_right(signed: Signed) -> None:
    assert digest_of(signed.open(manifest_digest=signed.manifest.digest)) == signed.manifest.digest
    with pytest.raises(ManifestError, match="not the pinned manifest"):
        signed.open(manifest_digest=f"sha256:{'0' * 64}")


def test_a_manifest_elsewhere_must_be_the_signed_one(signed: Signed) -> None:
    elsewhere = signed.location.parent.join("apart.json")
    put(elsewhere, get(signed.stored_manifest))
    delete(signed.stored_manifest)
    assert digest_of(signed.open(manifest_url=str(elsewhere))) == signed.manifest.digest
    document = json.loads(get(elsewhere))
    document["created"] = "2020-01-01T00:00:00Z"
    document.pop("checksum", None)
    document["schema"] = 1
    put(elsewhere, json.dumps(document, sort_keys=True, separators=(",", ":")).encode())
    with pytest.raises(SignatureError, match="one of another manifest"):
        signed.open(manifest_url=str(elsewhere))


def test_a_pickled_model_checks_the_signature_again(local: Signed) -> None:
    data = pickle.dumps(local.open())
    assert np.array_equal(pickle.loads(data).weights["dense/kernel"], KERNEL)
    delete(local.signature)
    with pytest.raises(SignatureError, match="not signed"):
        pickle.loads(data)


def test_a_copy_of_a_signed_model_is_a_signed_model(local: Signed, tmp_path: Path) -> None:
    local.pull(tmp_path / "copy")
    name = "copy" if local.is_directory else "copy/model.keras"
    copied = local.at(Location.parse(tmp_path / name))
    assert copied.verify().ok
    pushed = rm.push_model(tmp_path / "copy", tmp_path / local.location.name)
    assert pushed.files == local.manifest.files
    with pytest.raises(SignatureError, match="not signed"):
        local.at(Location.parse(tmp_path / local.location.name)).open()


def test_a_pull_without_a_key_brings_the_signature_as_it_is(local: Signed, tmp_path: Path) -> None:
    put(local.signature, b"whatever")
    local.pull(tmp_path / "copy", public_key=None)
    (copied,) = (tmp_path / "copy").rglob("*.sig")
    assert copied.read_bytes() == b"whatever"


def test_a_signature_is_no_file_of_the_model(base: Location, keys: KeyPair) -> None:
    signed = signed_at(base, "saved_model", keys)
    (listing,) = rm.list_models(str(base), storage_options=signed.options)
    assert listing.size == signed.manifest.total_size
    assert rm.verify_model(signed.url, storage_options=signed.options).ok
    adopted = rm.adopt_model(signed.url, overwrite=True, storage_options=signed.options)
    assert [e.path for e in adopted.files] == [e.path for e in signed.manifest.files]


# Signing


def test_only_what_was_pinned_is_signed(signed: Signed) -> None:
    before = get(signed.signature)
    with pytest.raises(ManifestError, match="not the pinned manifest"):
        signed.sign(manifest_digest=f"sha256:{'0' * 64}")
    assert get(signed.signature) == before or signed.verify().ok


def test_a_model_without_a_manifest_is_not_signed(
    base: Location, model_name: str, keys: KeyPair
) -> None:
    url, options = str(base.join(model_name)), dict(base.storage_options)
    with pytest.raises(ModelNotFoundError):
        rm.sign_model(url, keys.private, storage_options=options)
    rm.push_model(SAMPLES / MODELS[model_name], url, storage_options=options)
    signed = Signed(location=base.join(model_name), keys=keys, manifest=rm.open_model(
        url, storage_options=options).manifest)  # type: ignore[arg-type]  # it has one  # fmt: skip
    delete(signed.stored_manifest)
    with pytest.raises(ManifestError, match="it is the manifest that is signed"):
        signed.sign()


def test_a_save_under_way_is_not_signed(local: Signed) -> None:
    document = json.loads(get(local.stored_manifest))
    pending = {**document, "pending": [document]}
    put(local.stored_manifest, json.dumps(pending, sort_keys=True, separators=(",", ":")).encode())
    with pytest.raises(IntegrityError):
        local.sign()


def test_while_the_next_save_is_under_way_the_signed_model_stays(local: Signed) -> None:
    from remote_models.manifest import StoredManifest

    coming = rm.Manifest.from_json({**local.manifest.to_json()})
    stored = StoredManifest(current=local.manifest, pending=(coming,))
    put(local.stored_manifest, stored.to_bytes())
    remote = local.open()
    assert digest_of(remote) == local.manifest.digest
    assert np.array_equal(remote.weights["dense/kernel"], KERNEL)


def test_a_model_with_a_file_of_that_name_is_not_signed(tmp_path: Path, keys: KeyPair) -> None:
    from remote_models.formats import Format
    from remote_models.manifest import Layout
    from remote_models.publishing import Artifact, local_files, publish
    from remote_models.storage import open_store

    (tmp_path / "x").write_bytes(b"x")
    location = Location.parse(tmp_path / "m")
    artifact = Artifact(
        format=Format.SAVED_MODEL, layout=Layout.DIRECTORY, created="2026-01-01T00:00:00Z",
        producer={}, metadata={}, files=local_files({"model.sig": tmp_path / "x"}),
    )  # fmt: skip
    publish(open_store(location), location, artifact, overwrite=True)
    with pytest.raises(ArgumentError, match="where its signature belongs"):
        rm.sign_model(tmp_path / "m", keys.private)
    assert (tmp_path / "m/model.sig").read_bytes() == b"x"
