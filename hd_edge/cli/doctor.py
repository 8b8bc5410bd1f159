"""``hd-edge doctor``: what is installed, what was checked, where things are."""

from __future__ import annotations

import json
import os
import platform
import sys
from typing import Any

import click

from .foreign import one_line
from .values import THREADS, Name


@click.command()
@click.option("-m", "--model", type=Name(), help="Also look at this GGUF file ('demo' for SmolLM2-135M).")
@click.option("--explain", is_flag=True, help="Why is it (not) faster here? Measures cost curve and acceptance.")
@click.option("-t", "--threads", type=THREADS, help="Threads to measure with; default: physical cores.")
@click.option("--drafter", metavar="MODEL", help="Small GGUF that drafts too, or 'demo': may it, and what it brings.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(model: str | None, explain: bool, threads: int | None, drafter: str | None, as_json: bool) -> None:
    """Show versions, backend, checks and places."""
    if explain and not model:
        msg = "--explain measures a model: name one with -m"
        raise click.UsageError(msg)
    if drafter and not model:
        msg = "--drafter drafts for a model: name one with -m"
        raise click.UsageError(msg)
    report: dict[str, Any] = {
        "versions": _versions(),
        "backend": _backend(),
        "machine": _machine(threads),
        "store": _store(),
        "places": _places(),
    }
    if model:
        from .model_report import model_report

        report["model"] = model_report(model, drafter, threads)
    if model and explain:
        report["why"] = _why(report["model"]["file"], threads, report["model"].get("drafter"), as_json)
    if as_json:
        click.echo(json.dumps(report, indent=2))
    else:
        for section, values in report.items():
            click.echo(section)
            for key, value in values.items():
                lines = value if isinstance(value, list) else [value]
                click.echo(f"  {key:<22} {one_line(str(lines[0])) if lines else '-'}")
                for line in lines[1:]:
                    click.echo(f"  {'':<22} {one_line(str(line))}")
    if report["backend"].get("error"):
        sys.exit(1)


def _versions() -> dict[str, Any]:
    from importlib.metadata import version

    names = ("hd-edge", "llama-cpp-python", "numpy", "sqlite-utils", "platformdirs")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def _backend() -> dict[str, Any]:
    from hd_edge.backend import api as backend
    from hd_edge.backend import kernels
    from hd_edge.errors import UnsupportedBackendError

    report: dict[str, Any] = {"library": backend.library_path(), "gpu": backend.has_gpu()}
    try:
        backend.load()
    except UnsupportedBackendError as error:
        report["error"] = str(error)
    else:
        report["layout"] = "llama_batch agrees field by field"
        report["functions"] = f"{len(backend.FUNCTIONS)} of {len(backend.FUNCTIONS)} found"
        report["kernels"] = kernels.enable().text
    return report


def _machine(threads: int | None) -> dict[str, Any]:
    from hd_edge.backend.threads import physical_cores, running_threads

    return {
        "system": f"{platform.system()} {platform.machine()}",
        "logical cores": os.cpu_count(),
        "threads used": threads or f"{physical_cores()}, fewer while other programs take cores",
        "threads running now": running_threads() or "unknown",
    }


def _store() -> dict[str, Any]:
    from hd_edge.config import data_folder
    from hd_edge.store.report import all_stores

    folder = data_folder()
    files = [f"{path.relative_to(folder)} ({path.stat().st_size / 1e6:.1f} MB)" for path in all_stores()]
    return {"folder": str(folder), "files": files or "none yet"}


def _places() -> dict[str, str]:
    """Everything that hd_edge writes lies in these folders."""
    from hd_edge.config import data_folder, system_folder
    from hd_edge.prefix.places import cache_folder

    return {
        "data folder": str(data_folder()),
        "cache folder": str(system_folder("cache")),
        "state of prompts": str(cache_folder()),
    }


def _why(path: str, threads: int | None, drafter: str | None, as_json: bool) -> dict[str, Any]:
    from .why import explain

    measured = explain(path, threads, drafter)
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
