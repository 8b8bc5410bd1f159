"""``hd-edge generate``: continue a prompt. Model text on stdout, one line of statistics on stderr."""

from __future__ import annotations

import random
import sys
from collections.abc import Generator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from hd_edge.errors import TokenError
from hd_edge.model.text_file import read_whole

from .foreign import json_text, write
from .interrupt import in_thread, once
from .options import load_llama, model_options, sampling, sampling_options
from .progress import PrefillLine
from .streams import as_utf8, held, wrote
from .values import PAGE

if TYPE_CHECKING:
    from hd_edge import Llama

    from .explain import Explanation


@click.command()
@model_options
@sampling_options
@click.option("-p", "--prompt", help="Prompt; '-' or nothing: read from stdin.")
@click.option("-f", "--file", type=click.File(encoding="utf-8"), help="Read the prompt from a file.")
@click.option(
    "--prefix",
    type=click.File(encoding="utf-8"),
    help="File to read before the prompt, such as a document that is asked again and again.",
)
@click.option(
    "--prediction", type=click.File(encoding="utf-8"), help="File whose text the answer is expected to repeat."
)
@click.option("--chat", is_flag=True, help="Send the prompt as a chat message, with the model's chat template.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: text, finish_reason, stats.")
@click.option(
    "--explain",
    type=PAGE,
    help="Write a page that shows where each token came from.",
)
@click.option("-q", "--quiet", is_flag=True, help="No statistics on stderr.")
def generate(**options: Any) -> None:
    """Continue a prompt, streaming to stdout."""
    prompt: str | None = options.pop("prompt")
    file: TextIO | None = options.pop("file")
    if prompt is not None and file is not None:
        msg = "give -p or -f, not both"
        raise click.UsageError(msg)
    if file is not None:
        prompt = read_whole(file, f"-f {file.name}")
    elif prompt is None or prompt == "-":
        if sys.stdin.isatty():
            click.echo("type the prompt; Ctrl-D on a line of its own ends it", err=True)
        prompt = read_whole(sys.stdin, "the prompt on stdin")
    prefix: TextIO | None = options.pop("prefix")
    if prefix is not None:
        prompt = read_whole(prefix, f"--prefix {prefix.name}") + prompt
    prompt = as_utf8(prompt)
    chat, as_json, quiet = options.pop("chat"), options.pop("as_json"), options.pop("quiet")
    page: str | None = options.pop("explain")
    expected: TextIO | None = options.pop("prediction")
    settings = sampling(options)
    if expected is not None:
        settings["prediction"] = {"type": "content", "content": read_whole(expected, f"--prediction {expected.name}")}
    if settings["seed"] is None:
        settings["seed"] = random.randrange(2**31)
    llm = load_llama(options)
    progress = PrefillLine()
    llm.on_prefill = progress.show
    explanation = llm.on_step = explain(llm) if page is not None else None
    pieces, reason = [], None
    with held():  # a warning begins no line in the midst of the answer
        try:
            with once(), closing(_stream(llm, prompt, chat, settings)) as stream:
                for piece, finish in stream:
                    progress.close()
                    pieces.append(piece)
                    reason = finish or reason
                    if not as_json:
                        write(piece)
        except (KeyboardInterrupt, SystemExit):
            reason = "cancelled"
            raise
        except TokenError as error:
            if prompt:
                raise
            msg = "there is no prompt, and this model has no token to begin with: "
            msg += "give -p TEXT, -f FILE, or a text on stdin"
            raise click.UsageError(msg) from error
        finally:
            progress.close()
            if as_json:
                result = {"text": "".join(pieces), "finish_reason": reason, "stats": llm.stats.to_dict()}
                click.echo(json_text(result))
            elif pieces:
                click.echo()
            if page is not None and explanation is not None:
                explanation.write(Path(page))
                wrote(page)
            if not quiet and llm.stats.tokens:
                click.echo(llm.stats.summary(), err=True)
            llm.close()


def explain(llm: Llama) -> Explanation:
    """A recorder for the steps of this model's next generation."""
    from hd_edge.draft.tree_planner import TreePlanner

    from .explain import Explanation

    planner = llm.planner if isinstance(llm.planner, TreePlanner) else None
    return Explanation(lambda token: llm.detokenize([token], special=True).decode(errors="replace"), planner)


def _stream(
    llm: Llama, prompt: str, chat: bool, settings: dict[str, Any]
) -> Generator[tuple[str, str | None], None, None]:
    """Pieces of text, the last with its finish reason."""
    if chat:
        messages = [{"role": "user", "content": prompt}]
        make = partial(llm.create_chat_completion, messages, stream=True, **settings)
    else:
        make = partial(llm.create_completion, prompt, stream=True, **settings)
    for arrival in in_thread(llm, make):
        choice = arrival.chunk["choices"][0]
        yield choice["delta"].get("content") or "" if chat else choice["text"], choice["finish_reason"]
