"""``hd-edge doctor``: what is installed, what was checked, where things are."""

from __future__ import annotations

import json
import os
import platform
import sys
from typing import Any

import click


@click.command()
@click.option("-m", "--model", help="Also look at this GGUF file ('demo' for SmolLM2-135M).")
@click.option("--explain", is_flag=True, help="Why is it (not) faster here? Measures cost curve and acceptance.")
@click.option("-t", "--threads", type=click.IntRange(min=1), help="Threads of --explain; default: physical cores.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(model: str | None, explain: bool, threads: int | None, as_json: bool) -> None:
    """Show versions, backend, checks and places."""
    if explain and not model:
        msg = "--explain measures a model: name one with -m"
        raise click.UsageError(msg)
    report: dict[str, Any] = {"versions": _versions(), "backend": _backend(), "machine": _machine(), "store": _store()}
    if model:
        report["model"] = _model(model)
    if model and explain:
        report["why"] = _why(report["model"]["file"], threads, as_json)
    if as_json:
        click.echo(json.dumps(report, indent=2))
    else:
        for section, values in report.items():
            click.echo(section)
            for key, value in values.items():
                lines = value if isinstance(value, list) else [value]
                click.echo(f"  {key:<22} {lines[0] if lines else '-'}")
                for line in lines[1:]:
                    click.echo(f"  {'':<22} {line}")
    if report["backend"].get("error"):
        sys.exit(1)


def _versions() -> dict[str, Any]:
    from importlib.metadata import version

    names = ("hd-edge", "llama-cpp-python", "numpy", "sqlite-utils", "platformdirs")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def _backend() -> dict[str, Any]:
    from hd_edge.backend import api as backend
    from hd_edge.errors import UnsupportedBackendError

    report: dict[str, Any] = {"library": backend.library_path(), "gpu": backend.has_gpu()}
    try:
        backend.load()
    except UnsupportedBackendError as error:
        report["error"] = str(error)
    else:
        report["layout"] = "llama_batch agrees field by field"
        report["functions"] = f"{len(backend.FUNCTIONS)} of {len(backend.FUNCTIONS)} found"
    return report


def _machine() -> dict[str, Any]:
    from hd_edge.backend.threads import physical_cores

    return {
        "system": f"{platform.system()} {platform.machine()}",
        "logical cores": os.cpu_count(),
        "threads used": physical_cores(),
    }


def _store() -> dict[str, Any]:
    from hd_edge.store.places import data_folder

    folder = data_folder()
    files = sorted(folder.glob("*.sqlite3")) if folder.is_dir() else []
    return {
        "folder": str(folder),
        "files": [f"{f.name} ({f.stat().st_size / 1e6:.1f} MB)" for f in files] or "none yet",
    }


def _model(name: str) -> dict[str, Any]:
    from collections import Counter

    from hd_edge.backend import exact
    from hd_edge.backend import kernels as row_kernels
    from hd_edge.errors import ExactModeError
    from hd_edge.model import gguf as gguf_file

    from .options import model_path

    path = model_path(name)
    header = gguf_file.read_header(path)
    types = Counter(header.tensor_types.values())
    report: dict[str, Any] = {
        "file": path,
        "architecture": header.architecture,
        "tensors": ", ".join(f"{count} {kind}" for kind, count in types.most_common()),
        "can draft": "no: recurrent or hybrid" if header.keeps_state else "yes",
    }
    try:
        report["exact mode"] = list(exact.plan(header, {}, row_kernels.enable().types).reasons)
    except ExactModeError as error:
        report["exact mode"] = f"no: {error}"
    report["cost of rows"] = _cost(path)
    return report


def _why(path: str, threads: int | None, as_json: bool) -> dict[str, Any]:
    from .why import explain

    measured = explain(path, threads)
    if as_json:
        return measured
    return {
        "cost of n rows": ", ".join(f"{rows}: {cost:.2f}" for rows, cost in measured["cost"].items()) or "unknown",
        "answers": [
            f"{a['mean_accepted_tokens']:.2f} tokens/forward, {100 * a['acceptance_rate']:.0f} % of drafts accepted, "
            f"{a['tokens_per_second']:.1f} tok/s: {a['prompt']}"
            for a in measured["answers"]
        ],
        "verdict": measured["verdict"],
    }


def _cost(path: str) -> list[str]:
    """What a forward over n rows costs on this machine, measured now unless the store knows."""
    from itertools import islice

    from hd_edge import Llama
    from hd_edge.draft.tree_planner import SETTLED, TreePlanner

    llm = Llama(path, prefix_cache=None)
    try:
        planner = llm._planner
        if not isinstance(planner, TreePlanner):
            return ["not measured: plain decoding"]
        if not planner.cost.known:
            list(islice(llm.generate([max(llm.token_bos(), 0)]), SETTLED + 4))
        return planner.cost.table(planner.context)
    finally:
        llm.close()
