#!/usr/bin/env python3
"""Writes the command line reference from the commands themselves: cli_reference.py > docs/cli.md"""

from __future__ import annotations

import click

from hd_edge.cli import cli

HEAD = """# Command line

`hd-edge VERB --help` says the same. Model text goes to stdout, everything else to stderr. Exit status: 0, 1 (failed),
2 (usage), 130 (Ctrl-C). `hd-edge --debug VERB` logs what hd_edge decides. This page is written by
`scripts/tools/cli_reference.py`.
"""


def reference() -> str:
    """The whole page."""
    ctx = click.Context(cli)
    parts = [HEAD]
    for verb in cli.list_commands(ctx):
        command = cli.get_command(ctx, verb)
        assert command is not None
        parts += _section(command, f"hd-edge {verb}", 2)
    return "\n".join(parts) + "\n"


def _section(command: click.Command, name: str, level: int) -> list[str]:
    arguments = "".join(
        f" {p.make_metavar(click.Context(command))}" for p in command.params if p.param_type_name == "argument"
    )
    text = " ".join(line.strip() for line in (command.help or "").replace("\b", "").splitlines() if line.strip())
    lines = [f"{'#' * level} {name}{arguments}", "", text, ""]
    options = [p for p in command.params if isinstance(p, click.Option)]
    if options:
        lines += ["| option | default | |", "|---|---|---|"]
        lines += [f"| {_names(p)} | {_default(p)} | {(p.help or '').replace('|', '/')} |" for p in options]
        lines.append("")
    if isinstance(command, click.Group):
        for verb, sub in command.commands.items():
            lines += _section(sub, f"{name} {verb}", level + 1)
    return lines


def _names(option: click.Option) -> str:
    return " ".join(f"`{name}`" for name in option.opts)


def _default(option: click.Option) -> str:
    plain = isinstance(option.default, (int, float, str)) and not option.is_flag and option.default != ""
    return f"`{option.default}`" if plain else ""


if __name__ == "__main__":
    print(reference(), end="")
