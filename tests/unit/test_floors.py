"""The house: lower floors never import higher ones, and a few habits hold everywhere.

Everything is read from the source, so that imports inside functions, under
``TYPE_CHECKING`` and by name (``importlib.import_module("remote_models.…")``) count.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeVar

import pytest

import remote_models

PACKAGE = "remote_models"

FLOORS: tuple[frozenset[str], ...] = (
    frozenset({
        "_cache_settings", "_checksum", "_exports", "_fields", "_file_entry", "_file_lock",
        "_layout", "_private_folder", "_size", "_stack", "_strict_json", "_tensor_table",
        "_version", "digest", "documents", "errors", "manifest", "signing", "tensor_hashing",
        "tensors",
    }),
    frozenset({"cache", "storage"}),
    frozenset({"formats"}),
    frozenset({"adoption", "publishing", "remote_model"}),
    frozenset({"frameworks", "runtimes"}),
    frozenset({"__init__", "_api", "_progress_bar", "repository"}),
    frozenset({"__main__", "callbacks", "cli", "serving", "testing"}),
)  # fmt: skip
"""The rooms of each floor, as in the design; a private room is a part of its neighbour."""

NEIGHBOURS: Mapping[str, frozenset[str]] = {
    "_cache_settings": frozenset({"_size"}),
    "_checksum": frozenset({"_fields", "_strict_json", "digest", "errors"}),
    "_exports": frozenset({"_fields"}),
    "_fields": frozenset({"errors"}),
    "_file_entry": frozenset({"_fields", "digest"}),
    "_layout": frozenset({"_fields", "_file_entry", "errors"}),
    "_size": frozenset({"errors"}),
    "_strict_json": frozenset({"_fields", "errors"}),
    "_tensor_table": frozenset({"_fields", "_file_entry", "documents", "errors", "tensors"}),
    "digest": frozenset({"errors"}),
    "documents": frozenset({"_fields", "digest", "errors"}),
    "manifest": frozenset(
        {
            "_checksum",
            "_exports",
            "_fields",
            "_file_entry",
            "_layout",
            "_strict_json",
            "_tensor_table",
            "digest",
            "documents",
            "errors",
            "tensors",
        }
    ),
    "signing": frozenset({"_fields", "_strict_json", "digest", "errors"}),
    "tensor_hashing": frozenset({"digest", "documents", "tensors"}),
    "tensors": frozenset({"_fields", "digest", "errors"}),
    "adoption": frozenset({"remote_model"}),
    "publishing": frozenset({"remote_model"}),
    "frameworks": frozenset({"runtimes"}),
    "__init__": frozenset({"_api", "repository"}),
    "_api": frozenset({"_progress_bar"}),
    "repository": frozenset({"_api", "_progress_bar"}),
    "__main__": frozenset({"cli"}),
}
"""Rooms of one floor that may know each other. Anything else is a wall."""

ONLY_HERE: Mapping[str, frozenset[str]] = {
    "keras": frozenset({"frameworks", "callbacks", "serving"}),
    "tensorflow": frozenset({"frameworks", "callbacks", "serving"}),
    "tf_keras": frozenset({"frameworks", "callbacks", "serving"}),
    "ai_edge_litert": frozenset({"runtimes"}),
    "onnxruntime": frozenset({"runtimes"}),
    "onnx": frozenset({"frameworks"}),
    "tf2onnx": frozenset({"frameworks"}),
    "h5py": frozenset({"formats", "frameworks._h5_optimizer"}),
    "zipfile": frozenset({"formats", "_api._export"}),
    "botocore": frozenset({"storage._s3", "storage._s3_uploads", "testing"}),
    "boto3": frozenset({"testing"}),
    "cryptography": frozenset({"signing"}),
    "distributed": frozenset({"cli._walks"}),
    "s3fs": frozenset({"storage._s3", "testing"}),
    "gcsfs": frozenset({"storage._gcs", "storage._gcs_uploads", "testing"}),
    "google": frozenset({"storage._gcs", "storage._gcs_uploads", "formats._protos", "testing"}),
    "fsspec": frozenset({"storage", "testing"}),
    "obstore": frozenset(
        {
            "storage._obstore",
            "storage._obstore_client",
            "storage._obstore_errors",
            "storage._obstore_staging",
        }
    ),
    "pickle": frozenset(),
    "platformdirs": frozenset({"_cache_settings"}),
    "requests": frozenset({"storage._gcs", "storage._gcs_uploads"}),
}
"""Foreign packages, and the rooms or modules that alone may import them.

``google`` is gcsfs' authentication in one place and protobuf in the other;
``requests`` is what gcsfs' authentication raises. Keras 3 fails to restore an
optimizer from HDF5, which ``frameworks._h5_optimizer`` makes good. ``_api._export``
writes an ``.npz``; what is read of zip files is read in ``formats``.
"""

MAX_LINES = 400

EDGE_OF_ERRORS = {"cli._main", "serving._server", "storage._store"}
"""Where ``except Exception`` stands: at the command line, where foreign errors end, and where
a server goes on with the model that it has, whatever is wrong with the next one."""

BETWEEN_THREADS = {"storage._hedge"}
"""Where every exception of one thread is handed to another."""


class Import(NamedTuple):
    """One import: which module of the package names which module, and in what line."""

    importer: str
    target: str
    line: int


Node = TypeVar("Node", bound=ast.AST)

Sources = Mapping[str, str]
"""The source of each module, by its name: ``storage._s3``, ``storage``, ``__init__``."""


def read_sources() -> Sources:
    root = Path(remote_models.__file__).parent
    return {
        module_name(path.relative_to(root)): path.read_text(encoding="utf-8")
        for path in root.rglob("*.py")
    }


def module_name(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def imports_of(sources: Sources) -> list[Import]:
    return [each for name in sources for each in _imports(name, sources)]


def _imports(importer: str, sources: Sources) -> Iterator[Import]:
    for node in ast.walk(ast.parse(sources[importer])):
        for target in _targets(importer, node, sources):
            yield Import(importer, target, getattr(node, "lineno", 0))


def _targets(importer: str, node: ast.AST, sources: Sources) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        module = _absolute(importer, node, sources)
        for alias in node.names:
            inside = f"{module}.{alias.name}"
            is_module = _own(inside) in sources
            yield inside if is_module or module == "google" else module
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        is_module = node.value != PACKAGE and _own(node.value) in sources
        yield from [node.value] if is_module else []


def _absolute(importer: str, node: ast.ImportFrom, sources: Sources) -> str:
    if not node.level:
        return node.module or ""
    parts = [PACKAGE, *importer.split(".")]
    is_package = importer == "__init__" or any(name.startswith(f"{importer}.") for name in sources)
    parts = parts[: len(parts) - node.level + (is_package and importer != "__init__")]
    return ".".join([*parts, *([node.module] if node.module else [])])


def _own(target: str) -> str:
    """Return a module's name inside the package, or "" for what lies outside."""
    if target == PACKAGE:
        return "__init__"
    return target.removeprefix(f"{PACKAGE}.") if target.startswith(f"{PACKAGE}.") else ""


def room(module: str) -> str:
    return module.partition(".")[0]


def floor(module: str) -> int | None:
    return next((number for number, rooms in enumerate(FLOORS) if room(module) in rooms), None)


def internal(imports: Iterable[Import], sources: Sources) -> Iterator[tuple[str, str, int]]:
    for importer, target, line in imports:
        own = _own(target)
        while own and own not in sources:
            own = own.rpartition(".")[0]
        if own:
            yield importer, own, line


# What the tests look for


def homeless_modules(sources: Sources) -> list[str]:
    return [f"{name} has no floor" for name in sources if floor(name) is None]


def broken_floors(sources: Sources) -> list[str]:
    found = []
    for importer, target, line in internal(imports_of(sources), sources):
        above, below = floor(importer), floor(target)
        if room(importer) == room(target) or above is None or below is None:
            continue
        if above < below:
            found.append(f"{importer}:{line} (floor {above}) imports {target} (floor {below})")
        elif above == below and room(target) not in NEIGHBOURS.get(room(importer), ()):
            found.append(f"{importer}:{line} imports its neighbour {target}")
    return found


def cycles(sources: Sources) -> list[str]:
    graph: dict[str, set[str]] = {name: set() for name in sources}
    for importer, target, _ in internal(imports_of(sources), sources):
        graph[importer].add(target)
    found = [f"{name} imports itself" for name in graph if name in graph[name]]
    reached = {name: reachable(name, graph) for name in graph}
    groups = {
        frozenset(other for other in reached[name] if name in reached[other])
        for name in graph
        if name in reached[name] and graph[name] - {name}
    }
    return found + [
        f"imports go round between {sorted(group)}" for group in groups if len(group) > 1
    ]


def reachable(start: str, graph: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = set(graph[start])
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= graph[name] - found
    return found


def foreign_imports(sources: Sources) -> list[str]:
    return [
        f"{importer}:{line} imports {target}"
        for importer, target, line in imports_of(sources)
        for package in [target.partition(".")[0]]
        if package in ONLY_HERE and not {room(importer), importer} & ONLY_HERE[package]
    ]


def relative_imports(sources: Sources) -> list[str]:
    return [
        f"{name}:{node.lineno} imports relatively"
        for name, node in nodes(sources, ast.ImportFrom)
        if node.level
    ]


def what_testing_imports(sources: Sources) -> list[str]:
    return [
        f"{importer}:{line} imports {target}"
        for importer, target, line in internal(imports_of(sources), sources)
        if room(importer) == "testing" and room(target) not in {"testing", "errors"}
    ]


def nodes(sources: Sources, kind: type[Node]) -> Iterator[tuple[str, Node]]:
    for name, source in sources.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, kind):
                yield name, node


def keyword_catchers(sources: Sources) -> list[str]:
    functions: list[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]] = [
        *nodes(sources, ast.FunctionDef),
        *nodes(sources, ast.AsyncFunctionDef),
    ]
    return [
        f"{name}:{node.lineno} {node.name}() takes **{node.args.kwarg.arg}"
        for name, node in functions
        if node.args.kwarg and not _is_stub(node)
    ]


def _is_stub(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether it describes somebody else's function, in a Protocol."""
    return ast.unparse(node.body[-1]) == "..."


def global_statements(sources: Sources) -> list[str]:
    return [f"{name}:{node.lineno}" for name, node in nodes(sources, ast.Global)]


def broad_handlers(sources: Sources) -> list[str]:
    return [
        f"{name}:{node.lineno} catches {ast.unparse(node.type) if node.type else 'everything'}"
        for name, node in nodes(sources, ast.ExceptHandler)
        if _is_too_broad(name, node)
    ]


def _is_too_broad(module: str, node: ast.ExceptHandler) -> bool:
    if node.type is None:
        return True
    caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
    names = {ast.unparse(each) for each in caught}
    if "BaseException" in names and module not in BETWEEN_THREADS:
        return not isinstance(node.body[-1], ast.Raise)  # cleaning up and going on is fine
    return "Exception" in names and module not in EDGE_OF_ERRORS


def long_modules(sources: Sources) -> list[str]:
    return [
        f"{name} has {len(source.splitlines())} lines"
        for name, source in sources.items()
        if len(source.splitlines()) > MAX_LINES
    ]


Check = Callable[[Sources], list[str]]
CHECKS: tuple[Check, ...] = (
    homeless_modules, broken_floors, cycles, foreign_imports, relative_imports,
    what_testing_imports, keyword_catchers, global_statements, broad_handlers, long_modules,
)  # fmt: skip


@pytest.fixture(scope="module")
def sources() -> Sources:
    return read_sources()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_house_is_in_order(sources: Sources, check: Check) -> None:
    assert check(sources) == []


def test_the_imports_are_seen(sources: Sources) -> None:
    seen = {(importer, target) for importer, target, _ in internal(imports_of(sources), sources)}
    assert ("manifest", "errors") in seen
    assert ("__main__", "cli") in seen
    assert ("storage._registry", "storage._s3") in seen  # by name only
    assert ("__init__", "_api") in seen
    assert len(seen) > 100


# The tests see what they are for: one violation each


HOUSE: Sources = {
    "__init__": "from remote_models._api import save_model",
    "errors": "",
    "digest": "from remote_models.errors import ArgumentError",
    "manifest": "from remote_models.digest import parse_digest\nimport json",
    "storage": "from remote_models.storage._store import Store",
    "storage._store": "from remote_models import errors",
    "storage._s3": "from botocore import exceptions\nimport remote_models.storage._store",
    "formats": "def f():\n    import h5py",
    "_api": "from remote_models.storage import Store",
    "testing": "from remote_models.errors import StorageError",
}

VIOLATIONS: Mapping[str, tuple[Check, str, str, str]] = {
    "a module without a floor": (homeless_modules, "helpers", "", "helpers"),
    "an import upwards": (
        broken_floors, "errors", "import remote_models.storage", "errors:1"
    ),
    "from the package": (
        broken_floors, "digest", "from remote_models import storage", "digest:1"
    ),
    "the package itself": (
        broken_floors, "digest", "from remote_models import save_model", "__init__"
    ),
    "in a function": (
        broken_floors, "storage._store", "def f():\n    from remote_models._api import g", ":2"
    ),
    "for types only": (
        broken_floors, "storage", "if TYPE_CHECKING:\n    import remote_models.formats", ":2"
    ),
    "by name": (
        broken_floors, "storage", "import_module('remote_models.formats')", "storage:1"
    ),
    "relative": (broken_floors, "storage._store", "from ..formats import f", "formats"),
    "relative, from a package": (broken_floors, "storage", "from ..formats import f", "formats"),
    "a neighbour": (broken_floors, "errors", "from remote_models import digest", "neighbour"),
    "a cycle": (
        cycles, "errors", "from remote_models.digest import parse_digest", "'digest', 'errors'"
    ),
    "a cycle inside a package": (
        cycles, "storage._store", "def f():\n    import remote_models.storage._s3", "_s3"
    ),
    "a package and its module": (
        cycles, "storage._store", "from remote_models.storage import Store", "storage._store"
    ),
    "itself": (cycles, "errors", "import remote_models.errors", "itself"),
    "a framework": (foreign_imports, "_api", "def f():\n    import keras.layers", "_api:2"),
    "tensorflow": (foreign_imports, "formats", "from tensorflow.io import gfile", "formats:1"),
    "h5py": (foreign_imports, "storage", "import h5py", "h5py"),
    "a zip file": (foreign_imports, "_api", "from zipfile import ZipFile", "zipfile"),
    "botocore": (foreign_imports, "storage._store", "import botocore", "botocore"),
    "google": (foreign_imports, "storage._s3", "from google.auth import exceptions", "google"),
    "a pickle": (foreign_imports, "formats", "import pickle", "pickle"),
    "a relative import": (relative_imports, "storage", "from ._store import Store", "storage:1"),
    "the library in testing": (
        what_testing_imports, "testing", "from remote_models.storage import Store", "storage"
    ),
    "keywords passed through": (
        keyword_catchers, "_api", "def f(**kwargs): return g(**kwargs)", "**kwargs"
    ),
    "keywords of a method": (
        keyword_catchers, "_api", "class A:\n    async def f(self, **k): pass", "_api:2"
    ),
    "a global": (global_statements, "_api", "def f():\n    global x\n    x = 1", "_api:2"),
    "a bare except": (broad_handlers, "cli", "try: f()\nexcept: pass", "everything"),
    "except Exception": (broad_handlers, "_api", "try: f()\nexcept Exception: raise", "_api:2"),
    "among others": (
        broad_handlers, "_api", "try: f()\nexcept (OSError, Exception): g()", "Exception"
    ),
    "a swallowed BaseException": (
        broad_handlers, "storage._store", "try: f()\nexcept BaseException: g()", "BaseException"
    ),
    "a long module": (long_modules, "errors", "\n" * (MAX_LINES + 1), "401"),
}  # fmt: skip


def test_a_house_in_order_is_left_alone() -> None:
    assert [found for check in CHECKS for found in check(HOUSE)] == []


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_violation_is_found(name: str) -> None:
    check, module, source, part = VIOLATIONS[name]
    (found, *others) = check({**HOUSE, module: source})
    assert part in found
    assert len(others) <= 1  # in a cycle of a package, the package is named as well
