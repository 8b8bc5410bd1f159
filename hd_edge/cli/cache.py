"""``hd-edge cache``: the kept state of prompts. Results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import click

from .foreign import json_text, one_line
from .values import FilePath

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
FOLDER = click.option(
    "--folder", type=FilePath(file_okay=False, path_type=Path), help="This folder; default: that of the user."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cache() -> None:
    """State of prompts on disk: what a model has read need not be read again."""


def _folder(folder: Path | None) -> Path:
    from hd_edge.prefix.places import cache_folder

    if folder is None:
        return cache_folder()
    if not folder.exists():
        msg = f"--folder: {folder} does not exist: give one that a model kept state in, or leave the option out"
        raise click.BadParameter(msg)
    return folder


@cache.command()
@FOLDER
@AS_JSON
def info(folder: Path | None, as_json: bool) -> None:
    """Show the folder, and tokens, size and last use per model."""
    from hd_edge.prefix.upkeep import report

    found = report(_folder(folder))
    if as_json:
        click.echo(json_text(found, indent=2))
        return
    click.echo(one_line(found["folder"]))
    if not found["models"]:
        click.echo("empty")
    for model in found["models"]:
        click.echo(one_line(_line(model)))


def _line(model: dict[str, Any]) -> str:
    day = time.strftime("%Y-%m-%d %H:%M", time.localtime(model["used"]))
    return f"  {model['tokens']:>9,} tokens  {model['bytes'] / 1e6:>9,.1f} MB  last used {day}  {model['model']}"


@cache.command()
@FOLDER
def clear(folder: Path | None) -> None:
    """Delete all kept state, of all models. Files that hd_edge did not write stay."""
    from hd_edge.prefix.upkeep import clear as clear_folder

    files, size = clear_folder(_folder(folder))
    click.echo(f"{files} files, {size / 1e6:.1f} MB deleted", err=True)


@cache.command()
@FOLDER
@AS_JSON
def verify(folder: Path | None, as_json: bool) -> None:
    """Read everything, delete what is damaged or lost; exit status 1 if there was any."""
    from hd_edge.prefix.upkeep import verify as verify_folder

    found = verify_folder(_folder(folder))
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        click.echo(", ".join(f"{count} {name.replace('_', ' ')}" for name, count in found.items()))
    if found["damaged"] or found["without_file"] or found["without_row"]:
        sys.exit(1)
