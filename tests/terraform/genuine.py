"""Applies a module with a genuine provider: hashicorp/aws 3.39.0, which a package of PyPI holds.

It is old, and knows IAM; what it sends is what the module says, not what a mock makes of it.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from remote_models.testing import Emulator
from terraform.modules import ROOT

__all__ = ["PLATFORM", "apply"]

PLATFORM = (platform.system(), platform.machine()) == ("Linux", "x86_64")
"""Whether the provider's program runs here."""

VERSION = "3.39.0"
PLUGINS = ".venv-terraform/lib/python*/site-packages/cloudrail/terraform_plugins"

_PROVIDER = """
provider "aws" {{
  region                      = "us-east-1"
  skip_credentials_validation = true
  skip_get_ec2_platforms      = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  max_retries                 = 1

  endpoints {{
    iam = "{url}"
    sts = "{url}"
  }}
}}
"""
_VERSIONS = """
terraform {{
  required_providers {{
    aws = {{
      source  = "hashicorp/aws"
      version = "{version}"
    }}
  }}
}}
"""
_ISSUER = "  url            = var.oidc_issuer_url\n"


def apply(
    module: str, variables: Mapping[str, object], emulator: Emulator, folder: Path
) -> dict[str, str]:
    """Make what a module describes on a server, and return its outputs.

    Args:
        module: Its name.
        variables: What it is given.
        emulator: The server, as seen by who may make roles.
        folder: An empty folder, in which the state stays.
    """
    subprocess.run([ROOT.parent / "scripts/terraform_check", "--setup"], check=True)
    copy = folder / module
    shutil.copytree(ROOT / module, copy, ignore=shutil.ignore_patterns("tests"))
    (copy / "provider.tf").write_text(_PROVIDER.format(url=emulator.endpoint_url), "utf-8")
    (copy / "versions_override.tf").write_text(_VERSIONS.format(version=VERSION), "utf-8")
    main = (copy / "main.tf").read_text("utf-8")
    assert _ISSUER in main
    # Later versions, which the module is for, ask for no thumbprints.
    (copy / "main.tf").write_text(
        main.replace(_ISSUER, f'{_ISSUER}  thumbprint_list = ["{"0" * 40}"]\n'), "utf-8"
    )
    (copy / "terraform.tfvars.json").write_text(json.dumps(variables), "utf-8")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TF_")},
        **emulator.environment,
        "TF_CLI_CONFIG_FILE": str(_settings(folder)),
    }
    for command in (["init"], ["apply", "-auto-approve"]):
        _terraform(copy, environment, *command, "-input=false", "-no-color")
    told = json.loads(_terraform(copy, environment, "output", "-json"))
    return {name: output["value"] for name, output in told.items()}


def _settings(folder: Path) -> Path:
    """Let Terraform find the provider where the package has put it."""
    name = f"terraform-provider-aws_{VERSION}_linux_amd64.zip"
    (archive,) = ROOT.parent.glob(f"{PLUGINS}/{name}")
    place = folder / "mirror/registry.terraform.io/hashicorp/aws"
    place.mkdir(parents=True)
    (place / name).symlink_to(archive)
    settings = folder / "terraform.rc"
    settings.write_text(
        f'provider_installation {{\n  filesystem_mirror {{\n    path = "{folder / "mirror"}"\n'
        "  }\n}\ndisable_checkpoint = true\n",
        "utf-8",
    )
    return settings


def _terraform(folder: Path, environment: Mapping[str, str], *arguments: str) -> str:
    done = subprocess.run(
        ["terraform", *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
