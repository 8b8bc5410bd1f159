"""The ``hd-edge`` command: one verb per file, loaded when it is called.

May import every room; imported by nothing.
"""

from __future__ import annotations

import logging
import sys
from importlib import import_module

import click

from hd_edge import __version__

from . import streams

# verb -> (where its click command lives, one line of help)
VERBS = {
    "generate": ("hd_edge.cli.generate:generate", "Continue a prompt, streaming to stdout."),
    "chat": ("hd_edge.cli.chat:chat", "Talk to a model in the terminal."),
    "serve": ("hd_edge.cli.serve:serve", "Serve a model over HTTP, as OpenAI's API."),
    "models": ("hd_edge.cli.models:models", "Name models, and find those on the disk."),
    "bench": ("hd_edge.cli.bench:bench", "Measure what drafting gains, on your model and machine."),
    "check": ("hd_edge.cli.check:check", "Prove that drafted text is plain text, on your model."),
    "db": ("hd_edge.cli.db:db", "Look at, build, move and clean the stores."),
    "cache": ("hd_edge.cli.cache:cache", "Look at, check and clear the kept state of prompts."),
    "doctor": ("hd_edge.cli.doctor:doctor", "Show versions, backend, checks and places."),
}


class LazyGroup(click.Group):
    """A group that imports a verb's module only when that verb runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Verbs in the order of ``VERBS``."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The verb's command, or None if there is none of that name."""
        if cmd_name not in VERBS:
            return None
        module, name = VERBS[cmd_name][0].split(":")
        command = getattr(import_module(module), name)
        if not isinstance(command, click.Command):
            msg = f"{module}:{name} is no command"
            raise TypeError(msg)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Help lines without importing the verbs."""
        with formatter.section("Commands"):
            formatter.write_dl([(verb, line) for verb, (_, line) in VERBS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="hd-edge")
@click.option("--debug", is_flag=True, help="Log what hd_edge decides, to stderr.")
def cli(debug: bool) -> None:
    """GGUF models, answering faster: drafts from what was said before, verified by the model itself."""
    if debug:
        logging.basicConfig(stream=sys.stderr, format="%(name)s: %(message)s")
        logging.getLogger("hd_edge").setLevel(logging.DEBUG)


def main() -> None:
    """Entry point. Exit status 0, 1 (failed), 2 (usage), 130 (Ctrl-C)."""
    streams.prepare()
    try:
        cli(standalone_mode=False)
        streams.finish()
    except (click.exceptions.Abort, KeyboardInterrupt):
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except BrokenPipeError:
        streams.silence(sys.stdout)  # the reader went away: nothing to tell
        sys.exit(1)
    except Exception as error:
        if logging.getLogger("hd_edge").isEnabledFor(logging.DEBUG):
            raise
        click.echo(f"hd-edge: {streams.sentence(error)}", err=True)
        streams.silence(sys.stdout)
        sys.exit(1)
