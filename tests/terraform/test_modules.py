"""What every module must have, read without Terraform."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from terraform.modules import MODULES, ROOT, Module

PERMISSIONS = ROOT.parent / "docs" / "permissions.md"
SCHEMAS = Path(__file__).parent / "provider" / "schemas"
FREE = {"bool", "map(string)"}
"""Types of which every value is one that the module can take."""


@pytest.fixture(params=MODULES)
def module(request: pytest.FixtureRequest) -> Module:
    return Module(ROOT / request.param)


def test_all_are_found() -> None:
    assert len(MODULES) == 8


def test_has_all_files(module: Module) -> None:
    names = {path.name for path in module.folder.iterdir() if path.is_file()}
    assert names == {"main.tf", "variables.tf", "outputs.tf", "versions.tf", "README.md"}
    assert module.tests


def test_variables_are_typed_described_and_validated(module: Module) -> None:
    for name, variable in module.variables.items():
        assert len(variable.get("description", "")) >= 10, name
        assert re.fullmatch(r"string|number|bool|(list|map)\(string\)", _type(variable)), name
        for validation in variable.get("validation", []):
            assert "var." in validation["condition"], name
            assert len(validation["error_message"]) >= 20, name
        if _type(variable) not in FREE:
            assert variable.get("validation"), f"{name} takes every {_type(variable)}"
        # Null means something only where the description says what.
        if variable.get("nullable", True):
            assert "default" in variable, name
            assert variable["default"] is None, name
            assert "Null: " in variable["description"], name


def test_every_validation_is_seen_to_refuse(module: Module) -> None:
    refusals = " ".join(re.findall(r"expect_failures = \[(.*?)\]", module.tests, re.DOTALL))
    validated = {name for name, each in module.variables.items() if each.get("validation")}
    assert {name for name in validated if not re.search(rf"\bvar\.{name}\b", refusals)} == set()


def test_outputs_are_described(module: Module) -> None:
    assert module.outputs
    for name, output in module.outputs.items():
        assert len(output["description"]) >= 10, name


def test_readme_tells_all(module: Module) -> None:
    table = dict(re.findall(r"^\| `(\w+)` \|.*?([^|]*) \|$", module.readme, re.MULTILINE))
    described = {**module.variables, **module.outputs}
    assert set(table) == set(described)
    for name, what in table.items():
        assert what.strip() == described[name]["description"], name


def test_versions_are_bounded(module: Module) -> None:
    requirements = module.requirements
    assert requirements["required_version"] == ">= 1.9, < 2.0"
    (providers,) = requirements["required_providers"]
    for name, provider in providers.items():
        assert provider["source"] == f"hashicorp/{name}"
        lowest = {"aws": 6, "google": 8}[name]
        bounds = f">= {lowest}.0, < {lowest + 1}.0"
        assert provider["version"] == bounds or re.fullmatch(
            rf"~> {lowest}\.\d+", provider["version"]
        )
        tried = json.loads((SCHEMAS / f"{name}.json").read_text("utf-8"))["version"]
        assert tried.startswith(f"{lowest}.")


def test_every_resource_is_known_to_the_provider(module: Module) -> None:
    for block in module.file("main.tf").get("resource", []):
        for kind, bodies in block.items():
            known = _resources(kind.split("_")[0])[kind]
            for body in bodies.values():
                unknown = _names(body) - set(known["attributes"]) - set(known["blocks"])
                assert unknown <= {"count", "for_each", "depends_on", "dynamic", "lifecycle"}


def test_every_skip_of_checkov_has_a_reason(module: Module) -> None:
    skips = re.findall(r"checkov:skip=(.*)", (module.folder / "main.tf").read_text("utf-8"))
    for skip in skips:
        assert re.fullmatch(r"CKV2?_[A-Z]+_\d+:[A-Z].{20,}\.", skip), skip


def test_policies_on_aws_are_the_documented_ones() -> None:
    policies = [
        json.loads(text)["Statement"][0]["Action"]
        for text in re.findall(r"```json\n(.*?)```", PERMISSIONS.read_text("utf-8"), re.DOTALL)
    ]
    told = Module(ROOT / "aws_access").local_values
    assert [told["reader_actions"], told["writer_actions"]] == policies
    assert told["list"]["Action"] == ["s3:ListBucket"] == _needed("list", "s3")


def test_permissions_on_google_cloud_are_the_documented_ones() -> None:
    told = Module(ROOT / "gcp_access").local_values
    assert told["reader_permissions"] == _needed("load", "storage.objects")
    assert told["writer_permissions"] == _needed("save over an old one", "storage.objects")
    # Whatever may not be replaced, a save needs to replace its own manifest.
    once = _needed("save with overwrite=False", "storage.objects")
    assert set(told["replacing"]) <= set(once) <= set(told["writer_permissions"])
    assert told["list_permissions"] == _needed("list", "storage.objects")


def _needed(verb: str, store: str) -> list[str]:
    """Return what the table of docs/permissions.md says that a verb needs."""
    (row,) = re.findall(rf"^\| {verb} \|(.*)$", PERMISSIONS.read_text("utf-8"), re.MULTILINE)
    s3, _better, google, _end = row.split("|")
    return re.findall(r"`([\w.:]+)`", s3 if store == "s3" else google)


def _type(variable: dict[str, Any]) -> str:
    return str(variable["type"]).removeprefix("${").removesuffix("}")


def _resources(provider: str) -> dict[str, Any]:
    schema = json.loads((SCHEMAS / f"{provider}.json").read_text("utf-8"))
    return dict(schema["resources"])


def _names(body: dict[str, Any]) -> set[str]:
    dynamic = {name for block in body.get("dynamic", []) for name in block}
    return set(body) | dynamic
