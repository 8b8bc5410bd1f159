"""What ``hd-edge doctor -m`` and ``hd-edge models info`` tell of a model file."""

from __future__ import annotations

from typing import Any

from .disturbance import Disturbance
from .interrupt import ends_at_ctrl_c, in_thread

MEASURED, TRIES = 128, 4  # tokens in which every size is sampled; how often, where other programs spoil the samples


def model_report(name: str, drafter: str | None = None, threads: int | None = None) -> dict[str, Any]:
    """File, tensors, what exact mode takes, and what rows cost here.

    Args:
        name: Of the model.
        drafter: Of a model that shall draft for it.
        threads: To measure with; None: physical cores.

    Raises:
        ConfigError: It cannot draft for this one.
        ModelFileError: A file is missing, truncated or no GGUF.
    """
    from collections import Counter

    from hd_edge.backend import exact
    from hd_edge.backend import kernels as row_kernels
    from hd_edge.config import DraftConfig
    from hd_edge.draft.drafter.loading import check_drafter
    from hd_edge.errors import ExactModeError
    from hd_edge.model import gguf as gguf_file

    from .options import drafter_path, model_path

    path = model_path(name)
    header = gguf_file.read_header(path)
    types = Counter(header.tensor_types.values())
    report: dict[str, Any] = {
        "file": path,
        "architecture": header.architecture,
        "tensors": ", ".join(f"{count} {kind}" for kind, count in types.most_common()),
        "can draft": "one chain" if header.keeps_state else "yes",
    }
    try:
        report["exact mode"] = list(exact.plan(header, {}, row_kernels.enable()).reasons)
    except ExactModeError as error:
        report["exact mode"] = f"no: {error}"
    if small := drafter_path(drafter):
        report["drafter"] = check_drafter(small, DraftConfig(), path)
    report["drafters"] = _drafters(path)
    report["cost of rows"] = _cost(path, threads)
    return report


def _drafters(path: str) -> list[str]:
    """The models of this machine that may draft for this one."""
    from contextlib import suppress

    from hd_edge.draft.drafter.loading import suitable
    from hd_edge.errors import ModelFileError
    from hd_edge.extras import install
    from hd_edge.model import find as registry
    from hd_edge.model.demo import package_model

    candidates = {**{one.name: one.path for one in registry.found()}, **registry.names()}
    with suppress(ModelFileError):  # its package is not installed
        candidates["demo"] = package_model()
    hint = "" if "demo" in candidates else f": {install('demo')} brings 'demo' (93 MB)"
    return suitable(path, candidates) or [f"none found{hint}"]


def _cost(path: str, threads: int | None) -> list[str]:
    """What a forward over n rows costs on this machine, measured now unless the store knows."""
    from itertools import islice

    from hd_edge import Llama
    from hd_edge.draft.tree_planner import TreePlanner

    given: dict[str, Any] = {} if threads is None else {"n_threads": threads, "n_threads_batch": threads}
    with ends_at_ctrl_c():
        llm = Llama(path, learn=False, prefix_cache=None, **given)
    try:
        planner = llm.planner
        if not isinstance(planner, TreePlanner):
            return ["not measured: plain decoding"]
        disturbance, measured = Disturbance(llm.n_threads), False
        for _ in range(TRIES):
            if planner.cost.known:
                break
            measured = True
            for _ in islice(in_thread(llm, lambda: llm.generate([max(llm.token_bos(), 0)])), MEASURED):
                pass
        told = disturbance.told() if measured else ""  # a store's costs are of an idle machine
        return [f"not measured: {told}"] if told else planner.cost.table(planner.context)
    finally:
        llm.close()
