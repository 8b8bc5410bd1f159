"""``hd-edge db``: look at, build, move and clean the stores. Results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import os
import sys
from contextlib import nullcontext
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, Any

import click

from hd_edge.errors import printable

from .options import DRAFTER, MODEL, drafter_path, model_path
from .progress import ProgressLine
from .stores import addition, in_turn, open_any
from .values import (
    CONTEXT,
    COUNT,
    LAYERS,
    MOST_MIB,
    NEW_STORE,
    POSITIVE,
    STORE_FILE,
    TEXT,
    THREADS,
    InFolder,
    Name,
)

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
STORE = click.argument("store", type=STORE_FILE)
MOST_LINE = 2**20  # characters of an export's line; none is as long, so its rest is refused


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def db() -> None:
    """Stores: what the model said before, and statistics of a corpus."""


def show(result: dict[str, Any], as_json: bool) -> None:
    """A result for a program or for people."""
    if as_json:
        click.echo(json.dumps(result, indent=2))
        return
    for name, value in result.items():
        text = f"{value:,}" if isinstance(value, int) else printable(str(value))
        click.echo(f"{name.replace('_', ' '):<16} {text}")


@db.command()
@click.option("-m", "--model", type=Name(), help="Its stores, with texts; default: all stores, without texts.")
@click.option("--store", type=STORE_FILE, help="This file.")
@click.option("--top", type=COUNT, default=10, show_default=True, help="Continuations to show.")
@AS_JSON
def info(model: str | None, store: Path | None, top: int, as_json: bool) -> None:
    """Show tiers, sizes, n-grams, hit rates and the most used continuations. Exit status 1 if FILE is no store."""
    from hd_edge.store import report as store_report

    from .store_lines import lines

    if model is None:
        paths = [store] if store else store_report.all_stores()
        reports = [store_report.report(path) for path in paths]
    else:
        from hd_edge.model.vocabulary import Vocabulary, identify
        from hd_edge.model.vocabulary_file import vocabulary_of

        with vocabulary_of(model_path(model)) as loaded:
            paths = [store] if store else store_report.stores_of(loaded)
            about = (Vocabulary(loaded), identify(loaded), top)
            reports = [store_report.report(path, *about) for path in paths]
    if as_json:
        click.echo(json.dumps({"stores": reports}, indent=2))
    elif not reports:
        click.echo("no store yet: the first generation makes one", err=True)
    else:
        for report in reports:
            click.echo("\n".join(lines(report)), err="error" in report)
    if store and "error" in reports[0]:
        sys.exit(1)


@db.command("build-model")
@MODEL
@click.argument("prompts", type=TEXT)
@click.option("--store", type=NEW_STORE, help="File to fill; default: the model's.")
@click.option("--field", default="prompt", show_default=True, help="Field of a JSON line that holds the prompt.")
@click.option("-n", "--predict", type=POSITIVE, default=512, show_default=True, help="Longest answer.")
@click.option("--limit", type=POSITIVE, help="Only the first so many prompts.")
@click.option("-c", "--ctx-size", type=CONTEXT, default=4096, show_default=True)
@click.option("-t", "--threads", type=THREADS, help="Threads; default: physical cores.")
@click.option("-ngl", "--gpu-layers", type=LAYERS, default=0, show_default=True)
@DRAFTER
@AS_JSON
def build_model_command(model: str, prompts: str, as_json: bool, **options: Any) -> None:
    """Run the model on prompts and learn what it answers. Goes on where it was interrupted."""
    from hd_edge import Llama
    from hd_edge.build.model import BuildProgress, build_model
    from hd_edge.model.questions import read_prompts
    from hd_edge.model.vocabulary import identify
    from hd_edge.store.safety import default_path
    from hd_edge.store.store import Store

    texts = read_prompts(prompts, field=options["field"])[: options["limit"]]
    drafter = drafter_path(options["drafter"])
    settings = {"n_ctx": options["ctx_size"], "n_gpu_layers": options["gpu_layers"], "drafter": drafter}
    settings |= dict.fromkeys(("n_threads", "n_threads_batch"), options["threads"])
    llm = Llama(model_path(model), store=None, learn=False, prefix_cache=None, **settings)
    line = ProgressLine("answers")

    def tell(state: BuildProgress) -> None:
        rate = state.tokens / state.seconds if state.seconds else 0.0
        line.show(state.done, state.total, state.seconds, f"{state.done}/{state.total} prompts  {rate:.1f} tok/s")

    try:
        identity = identify(llm.model)
        path = options["store"] or default_path(identity)
        with Store(path, identity) as store:
            state = build_model(llm, store, texts, max_tokens=options["predict"], progress=tell)
            records = len(store)
    finally:
        line.close()
        llm.close()
    result = {"store": str(path), "prompts": state.total, "known": state.known, "skipped": state.skipped}
    show({**result, "tokens": state.tokens, "records": records, "file_bytes": path.stat().st_size}, as_json)


@db.command("build-statistics")
@MODEL
@click.argument("sources", nargs=-1, required=True)
@click.option("-o", "--out", type=InFolder(dir_okay=False, path_type=Path), help="Default: the tokenizer's.")
@click.option("--field", default="text", show_default=True, help="Field of a JSON line that holds the text.")
@click.option("--memory", default=512, show_default=True, type=click.IntRange(64, MOST_MIB), help="MiB to stay below.")
@click.option("-t", "--threads", type=THREADS, default=2, show_default=True)
@click.option("--min-count", type=POSITIVE, default=2, show_default=True, help="For keys of 3 tokens up.")
@click.option("--restart", is_flag=True, help="Throw away what an interrupted build has done.")
@AS_JSON
def build_statistics_command(
    model: str, sources: tuple[str, ...], restart: bool, as_json: bool, **options: Any
) -> None:
    """Count the n-grams of a corpus: JSON lines, plain text, '-' for stdin. Goes on where it was interrupted."""
    from hd_edge.build.corpus import Corpus
    from hd_edge.build.statistics import Progress, StatisticsBuild
    from hd_edge.model.vocabulary import identify
    from hd_edge.model.vocabulary_file import vocabulary_of
    from hd_edge.store.safety import default_path

    line = ProgressLine("statistics")

    def tell(state: Progress) -> None:
        rate = state.tokens / state.seconds * 60e-6
        line.show(state.done, state.total, state.seconds, f"{state.phase}  {state.tokens:,} tokens  {rate:.1f} M/min")

    path, out = model_path(model), options["out"]
    if out is None:
        with vocabulary_of(path) as loaded:
            out = default_path(identify(loaded), "statistics")
    build = StatisticsBuild(
        path,
        Corpus(sources, options["field"]),
        out,
        memory=options["memory"] << 20,
        threads=options["threads"],
        min_count=options["min_count"],
        progress=tell,
    )
    try:
        result = build.run(restart=restart)
    finally:
        line.close()
    show({"store": str(out), **result}, as_json)


@db.command()
@click.argument("into", type=NEW_STORE)
@click.argument("sources", nargs=-1, required=True, type=STORE_FILE)
@AS_JSON
def merge(into: Path, sources: tuple[Path, ...], as_json: bool) -> None:
    """Add the counts of SOURCES to the store INTO, which is made if it is not there. All of one tokenizer."""
    from hd_edge.store.aside import standing
    from hd_edge.store.merge import check_sources
    from hd_edge.store.merge import merge as merge_stores
    from hd_edge.store.store import Store

    files = [standing(path)[0] or os.path.realpath(path) for path in (into, *sources)]  # a hard link is the same file
    if len(set(files)) < len(files):
        msg = "a store is named twice: each would be counted twice"
        raise click.UsageError(msg)
    with open_any(sources[0], read_only=True) as first:
        kind, identity = first.kind, first.identity
    if into.exists():
        with open_any(into, read_only=True) as target:
            kind, identity = target.kind, target.identity
    check_sources(in_turn(sources), identity)
    with addition(into), Store(into, identity, kind=kind) as store:
        read = merge_stores(store, in_turn(sources))
        show({"store": str(into), "records_read": read, "records": len(store)}, as_json)


@db.command()
@STORE
@MODEL
@click.option("-o", "--out", default="-", show_default=True, help="File of JSON lines; '-': stdout.")
def export(store: Path, model: str, out: str) -> None:
    """Write a store as JSON lines of text."""
    from hd_edge.model.vocabulary import Vocabulary, identify
    from hd_edge.model.vocabulary_file import vocabulary_of
    from hd_edge.store.transfer import export as export_store
    from hd_edge.store.transfer import export_file

    from .interrupt import once

    target = nullcontext(sys.stdout) if out == "-" else export_file(Path(out))
    # A signal leaves no half file behind.
    with open_any(store, read_only=True) as opened, vocabulary_of(model_path(model)) as loaded, once(), target as file:
        keys = export_store(opened, Vocabulary(loaded), identify(loaded), file)
    click.echo(f"{keys:,} keys", err=True)


@db.command("import")
@click.argument("store", type=NEW_STORE)
@click.argument("source", type=click.File(encoding="utf-8"))
@MODEL
@click.option("--kind", type=click.Choice(["model", "statistics"]), default="model", show_default=True)
@AS_JSON
def import_command(store: Path, source: IO[str], model: str, kind: str, as_json: bool) -> None:
    """Add an export ('-': stdin) to a store, which is made if it is not there; the tokenizer may be another."""
    from hd_edge.model.vocabulary import Vocabulary, identify
    from hd_edge.model.vocabulary_file import vocabulary_of
    from hd_edge.store.store import Store
    from hd_edge.store.transfer import checked, import_text, read_header

    first = read_header(source)  # before a model is loaded
    lines = chain([first], iter(partial(source.readline, MOST_LINE), ""))
    with vocabulary_of(model_path(model)) as loaded, addition(store):
        identity, vocabulary = identify(loaded), Vocabulary(loaded)
        # Checked before a store is made.
        with checked(lines, vocabulary, identity) as sound, Store(store, identity, kind=kind) as opened:
            keys = import_text(opened, vocabulary, sound)
            records = len(opened)
        show({"store": str(store), "keys": keys, "records": records}, as_json)


@db.command()
@STORE
@click.option("--cap", type=click.IntRange(1, MOST_MIB), default=64, show_default=True, help="MiB.")
@AS_JSON
def prune(store: Path, cap: int, as_json: bool) -> None:
    """Drop the least useful n-grams until the file is below the cap."""
    from hd_edge.store.upkeep import prune as prune_store

    with open_any(store) as opened:
        dropped = prune_store(opened, cap << 20)
        result = {"store": str(store), "dropped": dropped, "records": len(opened), "file_bytes": opened.file.size()}
    show(result, as_json)


@db.command()
@STORE
@AS_JSON
def verify(store: Path, as_json: bool) -> None:
    """Read the whole file and say what is wrong with it. Exit status 1 if anything is."""
    from hd_edge.store.upkeep import verify as verify_store

    with open_any(store, read_only=True) as opened:
        findings = verify_store(opened)
        records = len(opened)
    if as_json:
        click.echo(json.dumps({"store": str(store), "sound": not findings, "records": records, "findings": findings}))
    else:
        click.echo(printable("\n".join(findings)) or f"sound: {records:,} records")
    if findings:
        sys.exit(1)


@db.command()
@STORE
@click.option("--yes", is_flag=True, help="Do not ask.")
def purge(store: Path, yes: bool) -> None:
    """Forget everything learned from text; nothing of it remains in the file."""
    from hd_edge.store.upkeep import purge as purge_store

    if not yes:
        with open_any(store, read_only=True):  # what cannot be purged is told before anybody is asked
            pass
        click.confirm(f"forget everything in {store}?", abort=True, err=True)
    with open_any(store) as opened:
        purge_store(opened)
    click.echo(f"{printable(str(store))} holds no text any more", err=True)
    for other in sorted(store.parent.glob(f"{store.name}.corrupt-*")):
        click.echo(f"a damaged copy is still there: {printable(str(other))}", err=True)
