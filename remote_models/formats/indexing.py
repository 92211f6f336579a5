"""Indexes of tensors; apart from the rest of the package since they need NumPy."""

from remote_models.formats._architecture import (
    StoredLayer,
    parse_architecture,
    stored_layers,
    without_training,
)
from remote_models.formats._artifact_index import (
    index_artifact,
    with_variable_names,
    without_model_name,
)
from remote_models.formats._documents import find_documents
from remote_models.formats._hdf5_index import Index
from remote_models.formats._keras_metadata import architecture_of_keras_metadata
from remote_models.formats._names import OptimizerNames
from remote_models.formats._object_graph import OBJECT_GRAPH
from remote_models.formats._signatures import Signature, SignatureTensor, parse_signatures
from remote_models.formats._string_tensor import decode_strings
from remote_models.formats._tensor_bundle import check_piece
from remote_models.formats._vocabularies import with_vocabularies

__all__ = [
    "OBJECT_GRAPH",
    "Index",
    "OptimizerNames",
    "Signature",
    "SignatureTensor",
    "StoredLayer",
    "architecture_of_keras_metadata",
    "check_piece",
    "decode_strings",
    "find_documents",
    "index_artifact",
    "parse_architecture",
    "parse_signatures",
    "stored_layers",
    "with_variable_names",
    "with_vocabularies",
    "without_model_name",
    "without_training",
]
