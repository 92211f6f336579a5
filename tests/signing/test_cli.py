"""``remote-models sign`` and ``--public-key``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from weights.artifacts import delete, flip

from remote_models.cli import INTEGRITY, OK, USAGE, main
from signing.keys import PASSWORD, key_pair
from signing.models import Signed


def test_a_model_is_signed_and_verified(
    local: Signed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = key_pair(password=PASSWORD)
    private, public = map(str, keys.write(tmp_path))
    secret = tmp_path / "password"
    secret.write_bytes(PASSWORD + b"\n")
    delete(local.signature)
    verify = ["verify", local.url, "--public-key", public]
    assert main(verify) == INTEGRITY
    assert "the model is not signed" in capsys.readouterr().err
    assert main(["sign", local.url, "--key", private]) == USAGE
    assert "hint: Pass --password-file" in capsys.readouterr().err
    secret.write_bytes(b"another\n")
    words = ["sign", local.url, "--key", private, "--password-file", str(secret)]
    assert main(words) == USAGE
    told = capsys.readouterr()
    assert "cannot be decrypted" in told.err
    assert "another" not in told.err
    secret.write_bytes(PASSWORD + b"\n")
    assert main([*words, "--json"]) == OK
    assert json.loads(capsys.readouterr().out)["manifest_digest"] == local.manifest.digest
    assert main(verify) == OK
    assert main(["weights", local.url, "--public-key", public]) == OK
    assert main(["pull", local.url, str(tmp_path / "copy"), "--public-key", public]) == OK
    flip(local.signature, 7)
    for command in (verify, ["weights", local.url, "--public-key", public]):
        assert main(command) == INTEGRITY
