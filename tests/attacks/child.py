"""Be the victim of every attack on one framework, and report what happened, as JSON lines.

Arguments: the framework, a folder. The hook of ``sys.addaudithook`` sees every file that
Python opens, every process and every connection; what C++ code does shows at the
canaries. Memory is the peak of this process over what it had before the attack.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import remote_models as rm
from attacks.archives import ARCHIVES
from attacks.attack import Attack, Built, Canaries
from attacks.checkpoints_and_manifests import FILES
from attacks.configurations import CONFIGURATIONS
from attacks.exports import EXPORTS
from attacks.graphs import GRAPHS
from attacks.hdf5_files import HDF5_FILES

FRAMEWORK, FOLDER = sys.argv[1], Path(sys.argv[2])

keras: Any = importlib.import_module(FRAMEWORK)

REGISTRIES = (CONFIGURATIONS, ARCHIVES, HDF5_FILES, GRAPHS, FILES, EXPORTS)

ADDRESS_SPACE = 3 << 30
"""Bytes that an attack may reserve beyond what the process has reserved before."""

_READ_ANYWHERE = ("/proc/", "/sys/", "/dev/", "/usr/", "/lib", "/etc/", sys.prefix)

_FORBIDDEN = ("subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork", "socket.connect",
              "socket.bind", "socket.getaddrinfo", "urllib.", "ctypes.dlopen", "os.startfile",
              "shutil.", "os.remove:")  # fmt: skip


@dataclass
class Watch:
    """What is seen while an attack goes on."""

    inside: tuple[str, ...] = ()
    seen: list[str] = field(default_factory=list)
    is_on: bool = False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.is_on:
            return
        if event == "open":
            self._opened(arguments)
        elif event.startswith(_FORBIDDEN) and event != "shutil.rmtree":
            self.seen.append(f"{event} {arguments[:1]}")

    def _opened(self, arguments: tuple[Any, ...]) -> None:
        path, _, flags = arguments
        if not isinstance(path, (str, bytes)):
            return
        name = os.path.abspath(os.fsdecode(path))
        writes = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        is_ours = name.startswith(self.inside)
        is_code = name.startswith((*_READ_ANYWHERE, *filter(None, sys.path))) and not writes
        if not is_ours and not is_code:
            self.seen.append(f"open {name}{' to write' if writes else ''}")


WATCH = Watch()


def status(name: str) -> int:
    """Bytes that the kernel states for this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(name)


@contextlib.contextmanager
def measured() -> Iterator[dict[str, float]]:
    """Measure the CPU seconds and the peak of memory of a block."""
    found: dict[str, float] = {}
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before, started = status("VmRSS"), time.process_time()
    limit = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (status("VmSize") + ADDRESS_SPACE, limit[1]))
    try:
        yield found
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limit)
        found["cpu"] = time.process_time() - started
        found["memory"] = status("VmHWM") - before


def victim(built: Built) -> Callable[[], Any]:
    """What the victim does."""
    url = built.url
    if built.verb == "load_weights":
        model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2, name="dense")])
        return lambda: rm.load_weights(model, url)
    if built.verb == "load_runtime":
        return lambda: rm.load_runtime(url)
    if built.verb == "adopt_model":
        return lambda: rm.adopt_model(url)
    if built.verb == "lazy":
        return lambda: rm.load_model(url, lazy=True, framework=FRAMEWORK)
    load = getattr(rm, built.verb)
    return lambda: load(url, framework=FRAMEWORK)


def suffer(attack: Attack, folder: Path) -> dict[str, Any]:
    """Build an attack, be its victim, and say what happened."""
    artifact = folder / "artifact"
    artifact.mkdir(parents=True)
    secret = folder / "outside" / "secret"
    secret.parent.mkdir()
    secret.write_bytes(b"a secret word\n" * 10)
    canaries = Canaries(secret=secret, written=folder / "outside" / "written")
    built = attack.build(artifact, canaries, FRAMEWORK)
    assert not canaries.written.exists(), "the attack must strike the victim, not its maker"
    if built.adopt:
        rm.adopt_model(built.url)
    act, error = victim(built), None
    WATCH.inside = (str(artifact), tempfile.gettempdir() + os.sep + ".remote_models-",
                    os.environ["REMOTE_MODELS_CACHE"])  # fmt: skip
    WATCH.seen = []
    with measured() as cost:
        WATCH.is_on = True
        try:
            act()
        except Exception as raised:  # noqa: BLE001 - whatever it is, it is reported
            error = raised
        finally:
            WATCH.is_on = False
    if sys.modules.pop("this", None):  # a module that runs when it is imported
        WATCH.seen.append("import this")
    return {
        "attack": attack.name,
        "expected": attack.error,
        "match": attack.match,
        "error": [each.__name__ for each in type(error).__mro__],
        "message": str(error),
        "seen": WATCH.seen,
        "written": canaries.written.exists(),
        "outside": sorted(each.name for each in secret.parent.iterdir()),
        "size": sum(each.stat().st_size for each in artifact.rglob("*") if each.is_file()
                    and not each.is_symlink()),
        **cost,
    }  # fmt: skip


def main() -> None:
    """Suffer every attack on the framework."""
    warnings.simplefilter("ignore")
    warm = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(2)])
    for name in ("warm.keras", "warm.h5", "warm"):
        rm.save_model(warm, FOLDER / name)  # what is imported late is no attack
        rm.load_model(FOLDER / name, framework=FRAMEWORK)
    sys.addaudithook(WATCH)
    attacks = [each for registry in REGISTRIES for each in registry.attacks]
    for number, attack in enumerate(attacks):
        if FRAMEWORK in attack.frameworks:
            folder = FOLDER / str(number)
            print(json.dumps(suffer(attack, folder)), flush=True)
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
