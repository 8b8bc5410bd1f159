"""``hd-edge serve``: an OpenAI-compatible server and a small chat page."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from hd_edge.extras import install

from .options import load_engine, load_llama, model_options, model_path
from .values import MOST_MIB, Alias, Finite, Name, Origin


@click.command()
@model_options
@click.option("--host", type=Name(), default="127.0.0.1", show_default=True, help="0.0.0.0 opens it to the network.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True)
@click.option("--api-key", envvar="HD_EDGE_API_KEY", help="Clients must send this key (or set HD_EDGE_API_KEY).")
@click.option("-a", "--alias", type=Alias(), help="Name of the model in /v1/models; default: the file's name.")
@click.option(
    "--cors", multiple=True, type=Origin(), metavar="ORIGIN", help="Web origin that may call the server from a browser."
)
@click.option(
    "--max-body", type=Finite(0.001, MOST_MIB), default=4.0, show_default=True, help="Most MiB of a request's body."
)
@click.option(
    "-np",
    "--parallel",
    type=click.IntRange(1, 63),
    default=1,
    show_default=True,
    help="Requests answered at a time; each conversation has --ctx-size tokens.",
)
@click.option("--logprobs", is_flag=True, help="Answer 'logprobs' with 'echo' too: keeps all logits in memory.")
@click.option("--embedding", is_flag=True, help="Answer /v1/embeddings too; what is generated is then not drafted for.")
def serve(**options: Any) -> None:
    """Serve a model over HTTP, as OpenAI's API, with a chat page at /."""
    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        msg = f"serve needs {error.name}: {install('server')} brings it"
        raise click.ClickException(msg) from error
    host, port, api_key = options.pop("host"), options.pop("port"), options.pop("api_key")
    if api_key is None and "HD_EDGE_API_KEY" in os.environ:
        api_key = ""  # a secret that was not filled in must not open the server
    if api_key is not None and (not api_key.isprintable() or api_key.strip() != api_key or not api_key):
        msg = "the API key (--api-key or HD_EDGE_API_KEY) is empty, or has blanks at its ends or control characters, "
        raise click.UsageError(msg + "which no client can send: give another, or none at all")
    alias, origins = options.pop("alias") or _name(options["model"]), options.pop("cors")
    most_bytes = int(options.pop("max_body") * 2**20)
    from hd_edge.server import create_app
    from hd_edge.server.guard import is_local
    from hd_edge.server.run import Server, ends_in_order, listen

    listening = listen(host, port)  # before the model loads: what is in use is told at once
    parallel, logprobs = options.pop("parallel"), options.pop("logprobs")
    if parallel > 1 and logprobs:
        msg = f"--logprobs keeps the logits of one conversation, --parallel {parallel} asks for more: give one of them"
        raise click.UsageError(msg)
    embedding: dict[str, Any] = {}
    if options.pop("embedding"):
        if parallel > 1:
            msg = f"--embedding embeds one text at a time, --parallel {parallel} asks for more: give one of them"
            raise click.UsageError(msg)
        embedding = embedding_settings(model_path(options["model"]), options["batch_size"])
    model = load_engine(options, parallel) if parallel > 1 else load_llama(options, logits_all=logprobs, **embedding)
    with ends_in_order(), listening, closing(model):
        app = create_app(model, alias, api_key=api_key, host=host, origins=origins, most_bytes=most_bytes)

        def ready(url: str) -> None:
            click.echo(f"{alias} at {url} (Ctrl-C ends)", err=True)
            if not is_local(host) and api_key is None:
                click.echo("everyone who reaches this address can use the model: --api-key asks for a key", err=True)

        Server(app, host, listening, ready).run(sockets=[listening])


def embedding_settings(path: str, batch: int) -> dict[str, Any]:
    """Arguments of ``Llama`` with which a model gives a vector for each text.

    Args:
        path: Its file. Where that does not say how vectors of tokens become one, it is their mean.
        batch: Tokens of the longest text.
    """
    from llama_cpp import LLAMA_POOLING_TYPE_MEAN, LLAMA_POOLING_TYPE_UNSPECIFIED

    from hd_edge.model.gguf import read_header

    header = read_header(path)
    pools = header.scalars.get(f"{header.architecture}.pooling_type")
    kind = LLAMA_POOLING_TYPE_UNSPECIFIED if pools else LLAMA_POOLING_TYPE_MEAN
    return {"embedding": True, "pooling_type": kind, "n_ubatch": batch}  # a text is computed in one piece


def _name(model: str) -> str:
    """That of a model's file, in characters that can be printed."""
    return "".join(one if one.isprintable() else "?" for one in Path(model).stem)
