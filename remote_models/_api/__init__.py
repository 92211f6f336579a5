"""The public verbs."""

from remote_models._api._adopt import adopt_model
from remote_models._api._architectures import load_architecture, save_architecture
from remote_models._api._artifacts import open_model, pull_model, push_model, verify_model
from remote_models._api._copy import copy_model
from remote_models._api._diff import diff_models
from remote_models._api._fetch import UnverifiedModelWarning
from remote_models._api._folders import adopt_models, copy_models, verify_models
from remote_models._api._gc import GarbageReport, Leftover, collect_garbage
from remote_models._api._listing import ModelListing, list_models
from remote_models._api._models import load_model, save_model
from remote_models._api._signing import sign_model
from remote_models._api._walk import ModelResult
from remote_models._api._weights import load_weights, save_weights

__all__ = [
    "GarbageReport",
    "Leftover",
    "ModelListing",
    "ModelResult",
    "UnverifiedModelWarning",
    "adopt_model",
    "adopt_models",
    "collect_garbage",
    "copy_model",
    "copy_models",
    "diff_models",
    "list_models",
    "load_architecture",
    "load_model",
    "load_weights",
    "open_model",
    "pull_model",
    "push_model",
    "save_architecture",
    "save_model",
    "save_weights",
    "sign_model",
    "verify_model",
    "verify_models",
]
