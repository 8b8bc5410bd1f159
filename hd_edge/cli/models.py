"""``hd-edge models``: names for model files, and the models that other tools already have on the disk."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from hd_edge.model import find as registry
from hd_edge.model.parts import model_bytes

from .foreign import one_line
from .model_report import model_report
from .offer import file
from .values import THREADS, Name


@click.group()
def models() -> None:
    """Name models, and find those that are on the disk already."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_models(as_json: bool) -> None:
    """List the names, and the models of Ollama, LM Studio, llama.cpp and Hugging Face; -m takes either."""
    named, found = registry.names(), registry.found()
    if as_json:
        document = {
            "named": {name: str(path) for name, path in named.items()},
            "found": {one.name: str(one.path) for one in found},
        }
        click.echo(json.dumps(document, indent=2))
        return
    rows = [("demo", "SmolLM2-135M (extra demo)"), *((name, file(path)) for name, path in named.items())]
    rows += [(one_line(one.name), file(one.path)) for one in found]
    width = max(len(name) for name, _ in rows)
    for name, what in rows:
        click.echo(one_line(f"{name:<{width}}  {what}"))  # names of files that anybody made
    if sys.stderr.isatty():  # for a person
        where = ", ".join(one_line(str(folder)) for folder in registry.places())
        click.echo(f"looked in {where}", err=True)
        click.echo("`hd-edge models add FILE` names one elsewhere; LLAMA_CACHE=FOLDER finds all of a folder", err=True)


@models.command()
@click.argument("model", type=Name())
@click.option("-a", "--alias", type=Name(), help="Its name; default: the file's name.")
def add(model: str, alias: str | None) -> None:
    """Give MODEL (a file, a found model, or hf:owner/repository/file.gguf) a name. The file stays where it is."""
    name, path = registry.add(model, alias)
    click.echo(f"{name}: {one_line(str(path))}", err=True)


@models.command()
@click.argument("name", type=Name())
def remove(name: str) -> None:
    """Forget NAME; its file stays."""
    click.echo(f"{name} is forgotten; its file stays at {one_line(str(registry.remove(name)))}", err=True)


@models.command()
@click.argument("model", type=Name())
@click.option("--drafter", metavar="MODEL", help="Small GGUF, or 'demo': whether it may draft for this model.")
@click.option("-t", "--threads", type=THREADS, help="Threads to measure with; default: physical cores.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(model: str, drafter: str | None, threads: int | None, as_json: bool) -> None:
    """Show what is in MODEL and whether it can draft and be exact."""
    report: dict[str, Any] = model_report(model, drafter, threads)
    report["size"] = f"{model_bytes(report['file']) / 1e6:.1f} MB"
    if as_json:
        click.echo(json.dumps(report, indent=2))
        return
    for key, value in report.items():
        lines = value if isinstance(value, list) else [value]
        for number, line in enumerate(lines):
            click.echo(f"{key if number == 0 else '':<14} {one_line(line)}")
