"""What the library says of signatures, of models without a manifest, and of settings."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import pytest

import remote_models as rm
from remote_models.cli import INTEGRITY, OK, main
from remote_models.errors import ArgumentError
from remote_models.storage import TransferSettings


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "models" / "m.weights.h5"
    path.parent.mkdir()
    with h5py.File(path, "w") as file:
        file["layers/dense/vars/0"] = [1.0]
    return path


def test_pulling_what_nothing_vouches_for_warns(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.warns(rm.UnverifiedModelWarning, match="no manifest vouches") as caught:
        rm.pull_model(model, tmp_path / "pulled")
    assert caught[0].filename == __file__
    assert main(["pull", str(model), str(tmp_path / "again")]) == OK
    assert "note: " in (told := capsys.readouterr().err)
    assert "adopt the model" in told
    assert main(["pull", "-q", str(model), str(tmp_path / "quiet")]) == OK
    assert capsys.readouterr().err == ""


def test_info_and_ls_tell_of_signatures(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digest = rm.adopt_model(model).digest

    def told(*words: str) -> str:
        assert main([*words]) == OK
        return capsys.readouterr().out

    assert json.loads(told("info", "--json", str(model)))["signed"] is None
    assert "signed" not in told("info", str(model))
    assert not rm.list_models(model.parent)[0].is_signed
    model.with_name(f"{model.name}.sig").write_text("no signature")
    assert json.loads(told("info", "--json", str(model)))["signed"] == "unchecked"
    assert "not checked: --public-key FILE" in told("info", str(model))
    assert "manifest, signed" in told("ls", str(model.parent))
    assert rm.list_models(model.parent)[0].is_signed
    assert digest in told("info", "--manifest-digest", digest, str(model))
    other = f"sha256:{'0' * 64}"
    assert main(["info", "--manifest-digest", other, str(model)]) == INTEGRITY


@pytest.mark.parametrize("text", ["soon", "0", "-1", "nan", "inf"])
def test_what_a_timeout_may_be(text: str) -> None:
    with pytest.raises(ArgumentError, match=r"REMOTE_MODELS_TIMEOUT: .*seconds, as in 60"):
        TransferSettings.from_environment({"REMOTE_MODELS_TIMEOUT": text})
    settings = TransferSettings.from_environment({"REMOTE_MODELS_TIMEOUT": "2.5"})
    assert settings.retry.timeout == 2.5
