"""Numbered versions of one model, with aliases, below one URL."""

from remote_models.repository._folders import prune_repositories
from remote_models.repository._prune import PruneReport
from remote_models.repository._repository import Repository
from remote_models.repository._version import Version

__all__ = ["PruneReport", "Repository", "Version", "prune_repositories"]
