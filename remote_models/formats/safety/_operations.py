"""Operations of TensorFlow that reach outside the graph: files, processes, the network.

Gone through: the 1,910 operations that TensorFlow 2.21 has registered, of which
``tf.raw_ops`` shows 1,463: a graph may hold any. What is not among them by name is judged
by its name, since packages may add operations.

Some reach outside without a word of it in their name: ``ImmutableConst`` maps a file into
memory, and the text that ``DatasetFromGraph`` and ``MlirPassthroughOp`` take is another
graph, which nobody has looked at.
"""

from __future__ import annotations

import re

__all__ = [
    "CHECKPOINT_OPERATIONS",
    "TABLE_FILE_OPERATIONS",
    "is_denied_operation",
    "refused_attribute",
]

CHECKPOINT_OPERATIONS = frozenset({
    "MergeV2Checkpoints", "Restore", "RestoreSlice", "RestoreV2", "Save", "SaveSlices", "SaveV2",
})  # fmt: skip
"""What reads and writes checkpoints: only the saver may."""

TABLE_FILE_OPERATIONS = frozenset({"InitializeTableFromTextFile", "InitializeTableFromTextFileV2"})
"""What fills a table from a file: only from an asset of the model."""

_DENIED = frozenset({
    "Abort", "CSVDataset", "CSVDatasetV2", "CacheDataset", "CacheDatasetV2",
    "CreateSummaryDbWriter", "CreateSummaryFileWriter", "DatasetToTFRecord", "DistributedSave",
    "EagerPyFunc", "FileSystemSetConfiguration", "FlushSummaryWriter", "GeneratorDataset",
    "GenerateVocabRemapping", "ImportEvent", "LoadAndRemapMatrix", "LoadDataset",
    "ListSnapshotChunksDataset", "MatchingFiles", "PyFunc", "PyFuncStateless", "ReadFile",
    "RecordInput", "RegisterDataset", "RegisterDatasetV2", "RemoteCall", "SaveDataset",
    "SaveDatasetV2", "SqlDataset", "SSTableDataset", "StatsAggregatorSetSummaryWriter",
    "SummaryWriter", "WriteAudioSummary", "WriteFile", "WriteGraphSummary",
    "WriteHistogramSummary", "WriteImageSummary", "WriteRawProtoSummary", "WriteScalarSummary",
    "WriteSummary", "CalibrationStatisticsSaver", "DTensorRestoreV2", "DatasetFromGraph",
    "DumpTensor", "ImmutableConst", "MlirPassthroughOp", "Skipgram", "XlaCustomCall",
    "XlaCustomCallV2", "_TPUCompileMlir", "_XlaHostComputeMlir",
})  # fmt: skip

_DENIED_NAMES = re.compile(
    r"_?(Experimental)?("
    r"\w*(PyFunc|NumpyFunc|ReadFile|WriteFile|MatchingFiles|FileReader|RecordReader|LineReader"
    r"|LMDB|TFRecord|TextLine|RecordDataset|FixedLengthRecord|SnapshotDataset|SnapshotChunk"
    r"|SnapshotNested|DataService|SqlDataset|CSVDataset|BigQuery|Bigtable|Gcs|Http|Rpc|Kafka"
    r"|RemoteFused|IdentityReader|FromFile|FromPath|LoadModel|LoadLibrary|Subprocess|DebugUrl)\w*"
    r"|Reader(Read|Reset|Restore|Serialize|Num)\w*)"
)

_STREAMS = {b"stdout", b"stderr", b"log(info)", b"log(warning)", b"log(error)"}


def is_denied_operation(name: str) -> bool:
    """Whether an operation is for no graph that is to be loaded safely.

    >>> is_denied_operation("WriteFile"), is_denied_operation("MatMul")
    (True, False)
    """
    name = name.rpartition(">")[2]  # behind the package that brings it
    return (
        name in _DENIED
        or name in CHECKPOINT_OPERATIONS
        or name in TABLE_FILE_OPERATIONS
        or _DENIED_NAMES.fullmatch(name) is not None
    )


def refused_attribute(operation: str, name: str, values: tuple[bytes, ...]) -> bool:
    """Whether an attribute makes an otherwise harmless operation reach outside.

    ``PrintV2`` prints to a file; the debugger's operations send tensors to files and
    servers; a sampler reads a vocabulary; a protocol buffer is decoded by descriptors in a
    file.
    """
    if operation == "PrintV2" and name == "output_stream":
        return any(value not in _STREAMS for value in values)
    if name in ("debug_ops_spec", "debug_urls", "vocab_file"):
        return any(values)
    if name in ("descriptor_source", "dump_root"):
        return any(value and not value.startswith((b"local://", b"bytes://")) for value in values)
    return False
