"""Scenarios that run in processes of their own: what a user's program would do.

Every function under ``@scenario`` is one test; tests/integration/children.py says
how it is found, started and reported. Keras 3 and tf_keras never share a module.
"""
