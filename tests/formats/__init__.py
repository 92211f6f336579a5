"""What the bytes of a file are taken for."""
