"""Publish artifacts: stage their files, then make them and their manifest visible."""

from remote_models.publishing._artifact import Artifact
from remote_models.publishing._publish import publish

__all__ = ["Artifact", "publish"]
