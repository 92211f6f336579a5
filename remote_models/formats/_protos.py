"""The protocol buffers that TensorFlow writes, without TensorFlow.

Sources: tensor_bundle.proto, trackable_object_graph.proto, saved_model.proto,
meta_graph.proto, saver.proto, saved_object_graph.proto (tensorflow/core/protobuf) and
tensor_shape.proto, tensor_slice.proto, versions.proto, graph.proto, node_def.proto,
attr_value.proto, function.proto, op_def.proto, tensor.proto (tensorflow/core/framework).
Only the fields that are read are declared, and a ``saved_model.pb`` four times: for who
reads its signatures, its objects, its tables and its operations. A ``SavedNode`` is a
``SavedObject`` there, which is the name of another message in saved_metadata.proto.

The descriptors are built at run time in a private pool: protobuf refuses two
definitions of one file in its default pool, which TensorFlow fills, and code that
``protoc`` generated runs on few versions of protobuf only. Importing protobuf
costs 0.2 s or more, so it happens with the first message.

Texts are declared as bytes: a stranger's need not be UTF-8.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from remote_models.errors import UnrecognizedFormatError

__all__ = ["parse_message"]

_PACKAGE = "remote_models"

_SCALARS = {"int32": 5, "int64": 3, "bytes": 12, "fixed32": 7}
"""Numbers of the types in ``FieldDescriptorProto.Type``."""

_MESSAGE = 11

_MESSAGES: dict[str, tuple[tuple[int, str, str], ...]] = {
    "BundleHeaderProto": (
        (1, "num_shards", "int32"),
        (2, "endianness", "int32"),
        (3, "version", "VersionDef"),
    ),
    "VersionDef": (
        (1, "producer", "int32"),
        (2, "min_consumer", "int32"),
        (3, "bad_consumers", "int32*"),
    ),
    "BundleEntryProto": (
        (1, "dtype", "int32"),
        (2, "shape", "TensorShapeProto"),
        (3, "shard_id", "int32"),
        (4, "offset", "int64"),
        (5, "size", "int64"),
        (6, "crc32c", "fixed32"),
        (7, "slices", "TensorSliceProto*"),
    ),
    "TensorShapeProto": ((2, "dim", "Dim*"), (3, "unknown_rank", "int32")),
    "Dim": ((1, "size", "int64"),),
    "TensorSliceProto": ((1, "extent", "Extent*"),),
    "Extent": ((1, "start", "int64"), (2, "length", "int64")),
    "TrackableObjectGraph": ((1, "nodes", "TrackableObject*"),),
    "TrackableObject": (
        (1, "children", "ObjectReference*"),
        (2, "attributes", "SerializedTensor*"),
        (3, "slot_variables", "SlotVariableReference*"),
    ),
    "ObjectReference": ((1, "node_id", "int32"), (2, "local_name", "bytes")),
    "SerializedTensor": (
        (1, "name", "bytes"),
        (2, "full_name", "bytes"),
        (3, "checkpoint_key", "bytes"),
    ),
    "SlotVariableReference": (
        (1, "original_variable_node_id", "int32"),
        (2, "slot_name", "bytes"),
        (3, "slot_variable_node_id", "int32"),
    ),
    "SavedMetadata": ((1, "nodes", "SavedObject*"),),
    "SavedObject": (
        (2, "node_id", "int32"),
        (3, "node_path", "bytes"),
        (4, "identifier", "bytes"),
        (5, "metadata", "bytes"),
    ),
    "SavedModelObjects": ((2, "meta_graphs", "MetaGraphObjects*"),),
    "MetaGraphObjects": ((7, "object_graph_def", "SavedObjectGraph"),),
    "SavedObjectGraph": ((1, "nodes", "SavedNode*"),),
    "SavedNode": ((1, "children", "ObjectReference*"), (4, "user_object", "SavedUserObject")),
    "SavedUserObject": ((1, "identifier", "bytes"), (3, "metadata", "bytes")),
    "SavedModelTables": ((2, "meta_graphs", "MetaGraphTables*"),),
    "MetaGraphTables": ((2, "graph_def", "GraphDef"), (7, "object_graph_def", "SavedTables")),
    "SavedTables": (
        (1, "nodes", "SavedTable*"),
        (2, "concrete_functions", "ConcreteFunctionEntry*"),
    ),
    "SavedTable": (
        (1, "children", "ObjectReference*"),
        (4, "user_object", "SavedUserObject"),
        (6, "function", "SavedFunction"),
        (9, "constant", "SavedConstant"),
    ),
    "SavedFunction": ((1, "concrete_functions", "bytes*"),),
    "SavedConstant": ((1, "operation", "bytes"),),
    "ConcreteFunctionEntry": ((1, "key", "bytes"), (2, "value", "SavedConcreteFunction")),
    "SavedConcreteFunction": ((2, "bound_inputs", "int32*"),),
    "SavedModel": ((2, "meta_graphs", "MetaGraphDef*"),),
    "MetaGraphDef": ((1, "meta_info_def", "MetaInfoDef"), (5, "signature_def", "SignatureEntry*")),
    "MetaInfoDef": ((4, "tags", "bytes*"),),
    "SignatureEntry": ((1, "key", "bytes"), (2, "value", "SignatureDef")),
    "SignatureDef": ((1, "inputs", "TensorInfoEntry*"), (2, "outputs", "TensorInfoEntry*")),
    "TensorInfoEntry": ((1, "key", "bytes"), (2, "value", "TensorInfo")),
    "TensorInfo": ((2, "dtype", "int32"), (3, "tensor_shape", "TensorShapeProto")),
    # The same file as SavedModel, with its graphs.
    "SavedGraphs": ((2, "meta_graphs", "MetaGraph*"),),
    "MetaGraph": (
        (2, "graph_def", "GraphDef"),
        (3, "saver_def", "SaverDef"),
        (4, "collection_def", "CollectionEntry*"),
        (5, "signature_def", "NamesEntry*"),
        (6, "asset_file_def", "AssetFileDef*"),
        (7, "object_graph_def", "BoundObjects"),
    ),
    "GraphDef": ((1, "node", "NodeDef*"), (2, "library", "FunctionDefLibrary")),
    "NodeDef": (
        (1, "name", "bytes"),
        (2, "op", "bytes"),
        (3, "input", "bytes*"),
        (5, "attr", "AttrEntry*"),
    ),
    "AttrEntry": ((1, "key", "bytes"), (2, "value", "AttrValue")),
    "AttrValue": (
        (1, "list", "AttrList"),
        (2, "s", "bytes"),
        (8, "tensor", "TensorProto"),
        (10, "func", "NameAttrList"),
    ),
    "AttrList": ((2, "s", "bytes*"), (9, "func", "NameAttrList*")),
    "NameAttrList": ((1, "name", "bytes"),),
    "TensorProto": (
        (1, "dtype", "int32"),
        (2, "tensor_shape", "TensorShapeProto"),
        (4, "tensor_content", "bytes"),
        (8, "string_val", "bytes*"),
        (10, "int64_val", "int64*"),
    ),
    "FunctionDefLibrary": (
        (1, "function", "FunctionDef*"),
        (2, "gradient", "GradientDef*"),
        (3, "registered_gradients", "RegisteredGradient*"),
    ),
    "GradientDef": ((2, "gradient_func", "bytes"),),
    "RegisteredGradient": ((1, "gradient_func", "bytes"),),
    "FunctionDef": (
        (1, "signature", "OpDef"),
        (3, "node_def", "NodeDef*"),
        (5, "attr", "AttrEntry*"),
    ),
    "OpDef": ((1, "name", "bytes"), (2, "input_arg", "ArgDef*")),
    "ArgDef": ((1, "name", "bytes"),),
    "SaverDef": (
        (1, "filename_tensor_name", "bytes"),
        (2, "save_tensor_name", "bytes"),
        (3, "restore_op_name", "bytes"),
    ),
    "CollectionEntry": ((1, "key", "bytes"), (2, "value", "CollectionDef")),
    "CollectionDef": ((1, "node_list", "NodeList"), (5, "any_list", "AnyList")),
    "AnyList": ((1, "value", "Any*"),),
    "Any": ((2, "value", "bytes"),),
    "NodeList": ((1, "value", "bytes*"),),
    "NamesEntry": ((1, "key", "bytes"), (2, "value", "SignatureNames")),
    "SignatureNames": ((1, "inputs", "NameEntry*"), (2, "outputs", "NameEntry*")),
    "NameEntry": ((1, "key", "bytes"), (2, "value", "AssetTensor")),
    "AssetFileDef": ((1, "tensor_info", "AssetTensor"), (2, "filename", "bytes")),
    "AssetTensor": ((1, "name", "bytes"),),
    "BoundObjects": ((1, "nodes", "BoundNode*"), (2, "concrete_functions", "ConcreteEntry*")),
    "BoundNode": ((5, "asset", "SavedAsset"),),
    "SavedAsset": ((1, "asset_file_def_index", "int32"),),
    "ConcreteEntry": ((1, "key", "bytes"), (2, "value", "ConcreteFunction")),
    "ConcreteFunction": ((2, "bound_inputs", "int32*"),),
}
"""Message to its fields: number, name, type; ``*`` marks a repeated field.

Enumerations and booleans are declared as int32: they are the same on the wire. So are
maps and repeated messages of a key and a value.
"""


def parse_message(name: str, data: bytes, *, where: str) -> Any:
    """Return the message of type ``name`` that ``data`` holds.

    Raises:
        UnrecognizedFormatError: it holds no such message.
    """
    from google.protobuf.message import (  # type: ignore[import-untyped,unused-ignore]
        DecodeError,
    )

    message = _message_class(name)()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise UnrecognizedFormatError(
            "a damaged protocol buffer", where=where, expected=name
        ) from error
    return message


@cache
def _message_class(name: str) -> Any:
    from google.protobuf import (  # type: ignore[import-untyped,unused-ignore]
        message_factory,
    )

    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"{_PACKAGE}.{name}"))


@cache
def _pool() -> Any:
    from google.protobuf import descriptor_pb2, descriptor_pool

    # proto2 in the syntax of all, so that absent fields can be told from zeros.
    file = descriptor_pb2.FileDescriptorProto(
        name="remote_models.proto", package=_PACKAGE, syntax="proto2"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for number, field, kind in fields:
            message.field.add(name=field, number=number, **_type(kind))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


def _type(kind: str) -> dict[str, Any]:
    label = 3 if kind.endswith("*") else 1  # LABEL_REPEATED, LABEL_OPTIONAL
    kind = kind.removesuffix("*")
    if kind in _SCALARS:
        return {"label": label, "type": _SCALARS[kind]}
    return {"label": label, "type": _MESSAGE, "type_name": f".{_PACKAGE}.{kind}"}
