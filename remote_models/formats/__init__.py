"""What the bytes of an artifact mean. Knows files and tensors, no Keras and no TensorFlow."""

from remote_models.formats._format import Format, Recognition
from remote_models.formats._json import shard_names
from remote_models.formats._recognition import recognise_directory, recognise_file

__all__ = ["Format", "Recognition", "recognise_directory", "recognise_file", "shard_names"]
