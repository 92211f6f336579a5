"""Real models of both generations of Keras, on real servers."""
