"""How often drafted text is plain text: quantization x mode x context length x threads.

    parity.py run MODEL.gguf [...] --out out.jsonl --prompts questions.jsonl --count 50 -t 2 --context 0 600 --seeds 5
    parity.py table out.jsonl

``run`` appends one line per model, mode and context; ``table`` adds up the lines of one kind and prints Markdown for
docs/lossless.md. Long measurements may be taken in pieces with ``--first``. A mode is called exact where it promises
that drafted text is plain text: exact mode, and default mode if kernels of ours compute all that depends on rows.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path

from hd_edge.check.modes import CheckSettings, run_mode
from hd_edge.model import gguf as gguf_file
from hd_edge.model.questions import read_prompts


def label(path: Path) -> str:
    """The commonest type of the file's matrices and, if it is of another kind, that of its largest other ones."""
    header = gguf_file.read_header(path)
    kinds = Counter(header.tensor_types[name] for name, shape in header.dimensions.items() if len(shape) > 1)
    name = str(header.scalars.get("general.name", "")) or path.stem
    return f"{name} {'+'.join(kind for kind, _ in kinds.most_common())}"


def run(options: argparse.Namespace) -> None:
    """Appends a line per model, mode and context."""
    prompts = read_prompts(options.prompts)[options.first :][: options.count]
    for model in options.models:
        for context in options.context:
            for mode in options.modes:
                settings = CheckSettings(
                    model=str(model),
                    n_ctx=options.ctx_size,
                    n_threads=options.threads,
                    tokens=options.predict,
                    seeds=tuple(range(options.seeds)),
                    context_tokens=context,
                    store=options.store,
                    statistics=options.statistics,
                )
                result = run_mode(settings, mode == "exact", prompts, lambda: None)
                for difference in result.get("differences", []):
                    difference["prompt"] += options.first
                kind = {"model": options.label or label(model), "mode": mode, "threads": options.threads}
                line = kind | {"context": context, "tokens_per_answer": options.predict} | result
                with options.out.open("a") as file:
                    file.write(json.dumps(line) + "\n")
                print(summary(line), file=sys.stderr)


def summary(line: dict) -> str:
    """One line for the terminal."""
    if "unavailable" in line:
        return f"{line['model']} {line['mode']}: {line['unavailable']}"
    greedy, sampled = line["greedy"], line["sampled"]
    return (
        f"{line['model']} {line['mode']}{promise(line)} threads {line['threads']} context {line['context']}: greedy "
        f"{greedy['identical']}/{greedy['prompts']}, sampled {sampled['identical']}/{sampled['prompts']}, "
        f"{line['mean_accepted_tokens']:.2f} tokens/forward"
    )


def promise(line: dict) -> str:
    """What stands behind the name of a mode."""
    return ", exact" if line["mode"] == "default" and line["exact"] else ""


def table(options: argparse.Namespace) -> None:
    """Prints Markdown."""
    rows: dict[tuple, dict] = {}
    for text in options.file.read_text().splitlines():
        line = json.loads(text)
        if "unavailable" in line:
            continue
        row = rows.setdefault(
            (line["model"], line["mode"] + promise(line), line["context"], line["threads"]),
            {"greedy": [0, 0], "sampled": [0, 0], "tokens": 0, "margins": [], "places": []},
        )
        for kind in ("greedy", "sampled"):
            row[kind][0] += line[kind]["identical"]
            row[kind][1] += line[kind]["prompts"]
        row["tokens"] += line["greedy"]["tokens"]
        for difference in line["differences"]:
            if difference["seed"] is None:
                row["margins"].append(difference["margin"])
                row["places"].append(difference["index"])
    print("| model | mode | context before | threads | greedy identical | tokens | sampled identical | margins |")
    print("|---|---|---|---|---|---|---|---|")
    for (model, mode, context, threads), row in sorted(
        rows.items(), key=lambda item: (item[0][0], item[0][1] != "exact", *item[0][2:])
    ):
        margins = sorted(row["margins"])
        spread = f"median {margins[len(margins) // 2]:.3f}, largest {margins[-1]:.3f}" if margins else "-"
        sampled = "{}/{}".format(*row["sampled"]) if row["sampled"][1] else "-"
        print(
            f"| {model} | {mode} | {context} | {threads} | {row['greedy'][0]}/{row['greedy'][1]} | {row['tokens']} | "
            f"{sampled} | {spread} |"
        )


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    measure = verbs.add_parser("run")
    measure.add_argument("models", nargs="+", type=Path)
    measure.add_argument("--out", type=Path, required=True)
    measure.add_argument("--label", help="name of the model in the table; default: name and tensor types")
    measure.add_argument("--prompts", type=Path, help="default: those of hd-edge check")
    measure.add_argument("--first", type=int, default=0)
    measure.add_argument("--count", type=int, default=10_000)
    measure.add_argument("--modes", nargs="+", choices=["exact", "default"], default=["exact", "default"])
    measure.add_argument("--context", nargs="+", type=int, default=[0])
    measure.add_argument("-t", "--threads", type=int, default=1)
    measure.add_argument("-c", "--ctx-size", type=int, default=4096)
    measure.add_argument("-n", "--predict", type=int, default=256)
    measure.add_argument("--seeds", type=int, default=0)
    measure.add_argument("--store", help="model tier to draft from as well")
    measure.add_argument("--statistics", help="statistics tier to draft from as well")
    measure.set_defaults(action=run)
    show = verbs.add_parser("table")
    show.add_argument("file", type=Path)
    show.set_defaults(action=table)
    options = parser.parse_args()
    options.action(options)


if __name__ == "__main__":
    main()
