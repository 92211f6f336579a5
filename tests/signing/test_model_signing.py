"""The other implementation, model_signing itself: both accept, both refuse."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import model_signing
import numpy as np
import pytest
from weights.artifacts import SAMPLES

import remote_models as rm
from remote_models.errors import IntegrityError, SignatureError
from remote_models.storage import Location
from signing.keys import CURVES, PASSWORD, KeyPair, key_pair
from signing.models import MODELS, Signed, signed_at

TIMEOUT = 120


def run_their_program(*words: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, "-m", "model_signing", *map(str, words)],
        env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False,
    )  # fmt: skip


def hashing_config(model: Path, *ignored: Path) -> model_signing.hashing.Config:
    """Return what their program makes of a path and of paths to ignore."""
    inside = [path.relative_to(model) for path in ignored if path.is_relative_to(model)]
    return model_signing.hashing.Config().set_ignored_paths(paths=inside)


def they_sign(
    model: Path, signature: Path, private: Path, *, ignore: Sequence[Path] = (), links: bool = False
) -> None:
    """Sign as their program does, in this process: it takes a second to start."""
    hashing = hashing_config(model, signature, *ignore).set_allow_symlinks(links)
    signing = model_signing.signing.Config().use_elliptic_key_signer(private_key=private)
    signing.set_hashing_config(hashing).sign(model, signature)


def they_accept(model: Path, signature: Path, public: Path) -> bool:
    """Verify as their program does, which says of every exception that it failed."""
    verifying = model_signing.verifying.Config().use_elliptic_key_verifier(public_key=public)
    try:
        verifying.set_hashing_config(hashing_config(model, signature)).verify(model, signature)
    except Exception:  # noqa: BLE001 - as their program
        return False
    return True


def we_accept(model: Path, public: Path) -> bool:
    """Whether verification, of every byte, finds nothing, and pulling copies everything."""
    try:
        ok = rm.verify_model(model, public_key=public).ok
    except IntegrityError:
        ok = False
    copy = model.parent / "pulled"
    try:
        rm.pull_model(model, copy, public_key=public)
    except IntegrityError:
        pulled = False
    else:
        pulled = True
    shutil.rmtree(copy, ignore_errors=True)
    assert pulled or not ok
    return ok


def test_their_program_accepts_what_we_sign(signed: Signed, tmp_path: Path) -> None:
    _, public = signed.keys.write(tmp_path)
    signed.pull(tmp_path / "copy")
    (signature,) = (tmp_path / "copy").glob("*.sig")
    words: list[str | Path] = [
        "verify",
        "key",
        tmp_path / "copy",
        "--signature",
        signature,
        "--public_key",
    ]
    done = run_their_program(*words, public)
    assert done.returncode == 0, done.stderr
    assert "Verification succeeded" in done.stdout
    _, other = key_pair().write(tmp_path)
    assert not they_accept(tmp_path / "copy", signature, other)


def test_we_accept_what_their_program_signs(model_name: str, tmp_path: Path) -> None:
    private, public = key_pair().write(tmp_path)
    model = tmp_path / model_name
    signature = copy_of_sample(model_name, model)
    words: list[str | Path] = [
        "sign",
        "key",
        model,
        "--signature",
        signature,
        "--private_key",
        private,
    ]
    done = run_their_program(*words)
    assert done.returncode == 0, done.stderr
    assert we_accept(model, public)


@pytest.mark.parametrize("curve", CURVES)
def test_they_accept_what_we_sign(
    local_base: Location, model_name: str, curve: str, tmp_path: Path
) -> None:
    signed = signed_at(local_base, model_name, key_pair(CURVES[curve]))
    _, public = signed.keys.write(tmp_path)
    signed.pull(tmp_path / "copy")
    (signature,) = (tmp_path / "copy").glob("*.sig")
    assert they_accept(tmp_path / "copy", signature, public)


@pytest.mark.parametrize("curve", CURVES)
def test_we_accept_what_they_sign(model_name: str, curve: str, tmp_path: Path) -> None:
    """Without a manifest of ours: whole files alone are vouched for."""
    keys = key_pair(CURVES[curve])
    private, public = keys.write(tmp_path)
    model = tmp_path / model_name
    signature = copy_of_sample(model_name, model)
    they_sign(model, signature, private)
    assert they_accept(model, signature, public)
    assert we_accept(model, public)
    remote = rm.open_model(model, public_key=public)
    assert remote.manifest is None
    assert remote.is_verifiable
    for parts in ("weights", "architecture", "signatures"):
        with pytest.raises(SignatureError, match="whole files, and for no manifest"):
            getattr(remote, parts)
    with pytest.raises(SignatureError, match="signed with another key"):
        rm.open_model(model, public_key=key_pair().public)


def test_we_accept_what_they_sign_with_our_manifest_in_it(local: Signed, tmp_path: Path) -> None:
    private, public = local.keys.write(tmp_path)
    local.pull(tmp_path / "copy")
    (signature,) = (tmp_path / "copy").glob("*.sig")
    signature.unlink()
    they_sign(tmp_path / "copy", signature, private)
    model = tmp_path / "copy" if local.is_directory else tmp_path / "copy" / local.location.name
    assert rm.verify_model(model, public_key=public).ok
    kernel = rm.open_model(model, public_key=public).weights["dense/kernel"]
    assert np.array_equal(kernel, np.arange(6, dtype="float32").reshape(3, 2))


def test_a_manifest_that_is_not_signed_opens_tensors_only_if_it_is_pinned(
    model_name: str, keys: KeyPair, tmp_path: Path
) -> None:
    """Its files' digests are the signed ones; those of its blocks could be anybody's."""
    private, public = keys.write(tmp_path)
    model = tmp_path / model_name
    they_sign(model, copy_of_sample(model_name, model), private)
    manifest = rm.adopt_model(model)
    assert we_accept(model, public)
    remote = rm.open_model(model, public_key=public)
    with pytest.raises(SignatureError, match="for no manifest"):
        remote.weights  # noqa: B018
    pinned = rm.open_model(model, public_key=public, manifest_digest=manifest.digest)
    assert pinned.weights["dense/kernel"].shape == (3, 2)
    changed = model / "saved_model.pb" if model.is_dir() else model
    changed.write_bytes(changed.read_bytes() + b"!")
    again = rm.adopt_model(model, overwrite=True)
    with pytest.raises(SignatureError, match="name different files"):
        rm.open_model(model, public_key=public, manifest_digest=again.digest)


def copy_of_sample(name: str, target: Path) -> Path:
    """Copy a model, and return where its signature belongs."""
    source = SAMPLES / MODELS[name]
    if source.is_dir():
        shutil.copytree(source, target)
        return target / "model.sig"
    shutil.copy(source, target)
    return target.with_name(f"{name}.sig")


# Tampering that both refuse


def flip_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def link(path: Path) -> None:
    moved = path.parents[1] / f"moved-{path.name}"
    path.rename(moved)
    path.symlink_to(moved)


def swap(path: Path) -> None:
    other = path.parent / "fingerprint.pb"
    data, others = path.read_bytes(), other.read_bytes()
    path.write_bytes(others)
    other.write_bytes(data)


GRAPH = "saved_model.pb"

TAMPERINGS: dict[str, Callable[[Path], object]] = {
    "nothing": lambda model: None,
    "a byte flipped": lambda model: flip_byte(model / GRAPH),
    "a file more": lambda model: (model / "variables/more").write_bytes(b"x"),
    "a file less": lambda model: (model / GRAPH).unlink(),
    "a link": lambda model: link(model / GRAPH),
    "two files swapped": lambda model: swap(model / GRAPH),
    "a file emptied": lambda model: (model / GRAPH).write_bytes(b""),
    "a file renamed": lambda model: (model / GRAPH).rename(model / "saved_model.pbtxt"),
    "a flip in the manifest": lambda model: flip_byte(model / "manifest.json"),
    "a flip in the signature": lambda model: flip_byte(model / "model.sig"),
    "the signature emptied": lambda model: (model / "model.sig").write_bytes(b""),
}


@pytest.mark.parametrize("by", ["us", "them"])
@pytest.mark.parametrize("how", TAMPERINGS)
def test_tampering_is_refused_by_both(
    local_base: Location, keys: KeyPair, how: str, by: str, tmp_path: Path
) -> None:
    signed = signed_at(local_base, "saved_model", keys)
    private, public = keys.write(tmp_path)
    model = Path(signed.location.path)
    (model / "assets").mkdir(exist_ok=True)
    if by == "them":
        (model / "model.sig").unlink()
        they_sign(model, model / "model.sig", private)
    TAMPERINGS[how](model)
    expected = how == "nothing"
    assert they_accept(model, model / "model.sig", public) == expected
    assert we_accept(model, public) == expected


def test_a_key_with_a_password(local: Signed, tmp_path: Path) -> None:
    keys = key_pair(password=PASSWORD)
    _, public = keys.write(tmp_path)
    rm.sign_model(local.url, keys.private, password=PASSWORD)
    local.pull(tmp_path / "copy", public_key=public)
    (signature,) = (tmp_path / "copy").glob("*.sig")
    assert they_accept(tmp_path / "copy", signature, public)


# What they let pass, and we do not


def test_files_that_a_signature_leaves_out_are_refused(
    local_base: Location, keys: KeyPair, tmp_path: Path
) -> None:
    signed = signed_at(local_base, "saved_model", keys)
    private, public = keys.write(tmp_path)
    model = Path(signed.location.path)
    they_sign(model, model / "model.sig", private, ignore=[model / "variables"])
    assert they_accept(model, model / "model.sig", public)
    with pytest.raises(SignatureError, match="files were left out"):
        rm.open_model(model, public_key=public)


def test_git_may_be_left_out_and_is_foreign_all_the_same(
    local_base: Location, keys: KeyPair, tmp_path: Path
) -> None:
    signed = signed_at(local_base, "saved_model", keys)
    private, public = keys.write(tmp_path)
    model = Path(signed.location.path)
    (model / ".git").mkdir()
    (model / ".git/config").write_text("x")
    they_sign(model, model / "model.sig", private)
    assert they_accept(model, model / "model.sig", public)
    report = rm.verify_model(model, public_key=public)
    assert report.unexpected == [".git/config"]


def test_links_that_a_signature_allows_are_refused(
    local_base: Location, keys: KeyPair, tmp_path: Path
) -> None:
    signed = signed_at(local_base, "saved_model", keys)
    private, public = keys.write(tmp_path)
    model = Path(signed.location.path)
    they_sign(model, model / "model.sig", private, links=True)
    with pytest.raises(SignatureError, match="allow_symlinks"):
        rm.open_model(model, public_key=public)
