"""Who copies no whole files pays nothing for the cache."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cache.models import content_of, put_model
from remote_models.storage import Location

SAMPLES = Path(__file__).parents[1] / "formats/samples"

CODE = {
    "the package": "import remote_models",
    "lazy reads": """
import remote_models as rm
with rm.open_model({sample!r}, verify=False) as remote:
    assert remote.weights.fetch()
""",
    "local models": """
import remote_models as rm
rm.pull_model({model!r}, {target!r})
""",
}


@pytest.mark.parametrize("name", CODE)
def test_what_does_without(name: str, local_base: Location, tmp_path: Path) -> None:
    model = put_model(local_base.join("model"), content_of(10, 20))
    sample = str(SAMPLES / "tf_keras-2.21.0/checkpoint/small")
    code = CODE[name].format(
        sample=sample, model=str(model.location), target=str(tmp_path / "pulled")
    )
    imported = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert "remote_models" in imported
    assert not {"remote_models.cache", "platformdirs"} & set(imported)


def test_a_cache_that_is_named_needs_no_platformdirs(tmp_path: Path) -> None:
    code = f"""
import sys
from remote_models.cache import CacheSettings, open_cache
open_cache(CacheSettings.from_environment({{"REMOTE_MODELS_CACHE": {str(tmp_path)!r}}}))
print("platformdirs" in sys.modules)
open_cache(CacheSettings.from_environment({{"XDG_CACHE_HOME": {str(tmp_path)!r}}}))
print("platformdirs" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"HOME": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["False", "True"]
