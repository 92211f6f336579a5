"""Which of several TensorFlow processes saves."""

from __future__ import annotations

from typing import Any

__all__ = ["is_chief"]


def is_chief(strategy: Any) -> bool:
    """Whether this process is the chief of the cluster that a strategy trains on.

    It is the task ``chief``, or the first ``worker`` of a cluster without one ("Multi-worker
    training with Keras", tensorflow.org, section "Model saving").
    """
    resolver = getattr(strategy, "cluster_resolver", None)
    cluster = resolver.cluster_spec().as_dict() if resolver is not None else {}
    if resolver is None or not cluster or resolver.task_type is None:
        return True
    if resolver.task_type == "chief":
        return True
    return bool(resolver.task_type == "worker" and resolver.task_id == 0 and "chief" not in cluster)
