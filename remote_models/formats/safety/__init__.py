"""What a framework must not see: looked for in the bytes, before it does.

No framework's own safe mode is trusted: Keras 3.15 calls exported functions that a
configuration names, tf_keras 2.21 runs code whatever ``safe_mode`` says, and TensorFlow
runs what stands in a graph. docs/security.md lists what is refused.
"""

from remote_models.formats.safety._artifact import ArtifactFindings, check_artifact, check_files
from remote_models.formats.safety._configuration import ConfigurationFindings, check_configuration
from remote_models.formats.safety._exports import check_export
from remote_models.formats.safety._findings import Finding, refuse
from remote_models.formats.safety._graph import check_graphs
from remote_models.formats.safety._vocabularies import forget_vocabularies

__all__ = [
    "ArtifactFindings",
    "ConfigurationFindings",
    "Finding",
    "check_artifact",
    "check_configuration",
    "check_export",
    "check_files",
    "check_graphs",
    "forget_vocabularies",
    "refuse",
]
