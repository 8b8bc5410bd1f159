#!/usr/bin/env python3
"""For which targets does a drafter pay? Recorded answers decoded once more with a real drafter, at costs by a table.

    drafter_table.py --traces vicuna-7b.eval.jsonl --vocab ggml-vocab-llama-spm.gguf --drafter demo --shares 0.02 0.04

Real are the drafter, how its words are spelled as the target's, mixer and planner. By the table: a forward over n rows,
as a fixed curve says, and a word of the drafter, which takes a share of a forward over one row. Of the target only its
tokenizer is loaded, so this needs no quiet machine and no large model. Every share begins cold.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import drafter_retention as retention
import numpy as np
from traces import Trace, read_traces

from hd_edge import Llama
from hd_edge.backend.threads import physical_cores
from hd_edge.config import MAX_LEAVES, MAX_ROWS, DraftConfig
from hd_edge.draft.cost import CostCurve
from hd_edge.draft.drafter.reader import Reader
from hd_edge.draft.drafter.spelling import Spelling
from hd_edge.draft.drafter.tier import DrafterTier
from hd_edge.draft.planner import NO_PREDICTION, Step
from hd_edge.draft.tree_planner import TreePlanner
from hd_edge.model.find import resolve, resolve_drafter
from hd_edge.model.questions import spread

if TYPE_CHECKING:
    from collections.abc import Sequence

SHARES = (0.01, 0.02, 0.04, 0.08, 0.15, 0.3)
DRAFTER_CONTEXT = 2048


class Recalled(Reader):
    """Reads each text once, whatever a word costs, and takes as long as the table says.

    Attributes:
        share: What a word costs, in forwards of the target over one row.
    """

    share = 0.0

    def __init__(self, llama: Llama) -> None:
        super().__init__(llama, longest=DRAFTER_CONTEXT // 2)
        self._found: dict[tuple[int, ...], list[tuple[int, float]]] = {}

    def read(self, tokens: Sequence[int]) -> list[tuple[int, float]]:
        seconds, reads = self.seconds + self.share, self.reads + 1
        key = tuple(tokens)
        if key not in self._found:
            self._found[key] = super().read(tokens)
        self.seconds, self.reads = seconds, reads
        return self._found[key]


@dataclass
class Tally(retention.Tally):
    """What decoding the answers of one file took.

    Attributes:
        rows: Of all forwards.
        words: Of the drafter.
    """

    rows: int = 0
    words: int = 0

    def told(self) -> dict[str, float]:
        """What the table shows."""
        return {
            "tokens_per_forward": self.tokens / self.steps,
            "rows_per_forward": self.rows / self.steps,
            "words_per_forward": self.words / self.steps,
            "speedup": self.tokens / self.cost,
        }


def decode(planner: TreePlanner, trace: Trace, curve: dict[int, float], tally: Tally) -> None:
    """One recorded answer, as the decode loop would."""
    tokens, at = np.array(trace.prompt + trace.answer, np.int32), len(trace.prompt) + 1
    asking = planner.asking
    if asking is not None:
        asking.tier.converse([{"role": "user", "content": trace.asked}], len(trace.prompt))
    planner.begin(tokens[:at], NO_PREDICTION)
    while at < len(tokens):
        tree = planner.plan(int(tokens[at - 1]), MAX_ROWS, MAX_LEAVES)
        path = tree.follow(tokens[at:-1].tolist())
        emitted = tokens[at : at + len(path)].tolist()
        forward = retention.forward_cost(curve, len(tree))
        tally.cost += forward
        if asking is not None:
            tally.cost += asking.spent
            tally.words += asking.words
        planner.learn(Step(tree, path, emitted, forward))
        tally.tokens += len(emitted)
        tally.steps += 1
        tally.rows += len(tree)
        at += len(emitted)


def replay(
    files: dict[str, list[Trace]], curve: dict[int, float], n_vocab: int, tier: DrafterTier | None
) -> dict[str, Tally]:
    """Every file's answers, each file with a planner that has learned nothing."""
    found = {}
    for name, traces in files.items():
        planner = TreePlanner(n_vocab, DraftConfig(), cost=CostCurve.of(curve), drafter=tier)
        tally = found[name] = Tally()
        for trace in traces:
            decode(planner, trace, curve, tally)
    return found


def line(what: str, found: dict[str, Tally]) -> str:
    """One line of the table."""
    cells = [tally.told() for tally in found.values()]
    numbers = " ".join(
        f"{c['speedup']:9.2f} {c['tokens_per_forward']:6.2f} {c['rows_per_forward']:5.1f} {c['words_per_forward']:6.2f}"
        for c in cells
    )
    return f"{what:10} {numbers}"


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=Path, nargs="+", required=True, help="recorded answers, of one target each")
    parser.add_argument("--vocab", required=True, help="GGUF with the tokenizer of these targets")
    parser.add_argument("--drafter", required=True, metavar="MODEL", help="small GGUF, or 'demo'")
    parser.add_argument("--shares", type=float, nargs="+", default=SHARES, help="of a forward, for each word")
    parser.add_argument(
        "--curve", type=retention.table, default=retention.CURVE, help=f"rows:forwards, ... (default {retention.CURVE})"
    )
    parser.add_argument("--answers", type=int, default=16, help="of each file, evenly spread")
    parser.add_argument("-n", "--tokens", type=int, default=128, help="most tokens of an answer")
    parser.add_argument("-t", "--threads", type=int, default=physical_cores())
    parser.add_argument("--json", type=Path)
    args = parser.parse_args(argv)
    if not all(0 <= share < float("inf") for share in args.shares):
        parser.error(f"a word takes 0 or more forwards, not {min(args.shares):g}: see --shares")
    if 1 not in args.curve:
        parser.error(f"--curve begins with one row, as in 1:1,4:1.1, not with {min(args.curve)}")
    small = resolve_drafter(args.drafter)
    bare = {"draft": "off", "store": None, "statistics": None, "prefix_cache": None, "verbose": False}
    threads = {"n_threads": args.threads, "n_threads_batch": args.threads}
    with (
        closing(Llama(resolve(args.vocab), vocab_only=True, **bare)) as target,
        closing(Llama(small, n_ctx=DRAFTER_CONTEXT, **threads, **bare)) as drafter,
    ):

        def tokenize(text: str, bos: bool) -> list[int]:
            return target.tokenize(text.encode(), add_bos=bos, special=False)

        files = {
            path.name.split(".jsonl")[0]: spread(read_traces(path, tokenize, tokens=args.tokens), args.answers)
            for path in args.traces
        }
        if empty := [name for name, traces in files.items() if not traces]:
            raise SystemExit(f"no answer of at least 16 tokens in {', '.join(empty)}: there is nothing to decode")
        reader, n_vocab = Recalled(drafter), target.n_vocab()
        spelled = Spelling(drafter.model), Spelling(target.model)
        print(f"{'a word':10} " + " ".join(f"{name:>29.29}" for name in files))
        print(f"{'':10} " + " ".join(" speed-up tokens  rows  words" for _ in files))
        found = {"none": replay(files, args.curve, n_vocab, None)}
        print(line("none", found["none"]))
        for share in args.shares:
            reader.share = share
            found[f"{share:g}"] = told = replay(files, args.curve, n_vocab, DrafterTier(reader, *spelled, share=share))
            print(line(f"{share:.1%}", told), flush=True)
    if args.json:
        runs = {name: {file: asdict(t) | t.told() for file, t in told.items()} for name, told in found.items()}
        head = {"schema": 1, "drafter": Path(small).name, "curve": args.curve, "tokens": args.tokens}
        args.json.write_text(json.dumps({**head, "answers": args.answers, "runs": runs}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
