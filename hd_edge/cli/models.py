"""``hd-edge models``: names for model files, and the models that other tools already have on the disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from hd_edge.errors import printable
from hd_edge.model import find as registry

from .model_report import model_report
from .offer import file
from .values import Name


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
    rows += [(printable(one.name), file(one.path)) for one in found]  # names of files that anybody made
    width = max(len(name) for name, _ in rows)
    for name, what in rows:
        click.echo(f"{name:<{width}}  {what}".replace("\n", "\\n"))


@models.command()
@click.argument("model", type=Name())
@click.option("-a", "--alias", type=Name(), help="Its name; default: the file's name.")
def add(model: str, alias: str | None) -> None:
    """Give MODEL (a file, a found model, or hf:owner/repository/file.gguf) a name. The file stays where it is."""
    name, path = registry.add(model, alias)
    click.echo(f"{name}: {_shown(path)}", err=True)


@models.command()
@click.argument("name", type=Name())
def remove(name: str) -> None:
    """Forget NAME; its file stays."""
    click.echo(f"{name} is forgotten; its file stays at {_shown(registry.remove(name))}", err=True)


@models.command()
@click.argument("model", type=Name())
@click.option("--drafter", metavar="MODEL", help="Small GGUF, or 'demo': whether it may draft for this model.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(model: str, drafter: str | None, as_json: bool) -> None:
    """Show what is in MODEL and whether it can draft and be exact."""
    report: dict[str, Any] = model_report(model, drafter)
    report["size"] = f"{Path(report['file']).stat().st_size / 1e6:.1f} MB"
    if as_json:
        click.echo(json.dumps(report, indent=2))
        return
    for key, value in report.items():
        lines = value if isinstance(value, list) else [value]
        for number, line in enumerate(lines):
            click.echo(f"{key if number == 0 else '':<14} {line}")


def _shown(path: Path) -> str:
    return printable(str(path)).replace("\n", "\\n")
