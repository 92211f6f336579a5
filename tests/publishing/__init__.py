"""Publishing and reading back: whole, or a clear error."""
