#!/usr/bin/env python3
"""Writes questions about long documents that ask for quotes, for spec_bench.py.

    long_questions.py -m model.gguf long-documents.jsonl --tokens 3000 --documents 2
    spec_bench.py -m model.gguf long-documents.jsonl --questions 20

The documents are this repository's own pages, one behind the other, cut into runs of whole paragraphs; each gets ten
questions whose answer stands in it, evenly spread from its beginning to its end. The document stands before the
question, so that the questions of one document share all but their last tokens: a benchmark has to read each anew.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GENERATED = ("LOG.md", "benchmarks.md", "cli.md")  # lists of figures and options, no text to quote
CATEGORY = "long documents"
QUESTIONS = 10  # for each document
WORDS = 6  # of a paragraph that a question names it by
LEAST = 20  # words of a paragraph worth a question
FENCED = re.compile(r"^```.*?^```$\n?", re.MULTILINE | re.DOTALL)
FORMS = (
    'Quote the paragraph that begins with "{begin}", word for word.',
    'Quote the paragraph that ends with "{end}", word for word.',
    'What does the document say behind "{begin}"? Answer with quotes only.',
    'Where in the document does "{middle}" stand? Quote the whole paragraph around it.',
    'Summarize the paragraph that begins with "{begin}", quoting its sentences.',
)


def paragraphs(pages: Sequence[Path]) -> list[str]:
    """Blocks between blank lines of all pages, in order; without tables, pictures and code."""
    texts = (FENCED.sub("", page.read_text(encoding="utf-8")) for page in pages)
    blocks = (block.strip() for text in texts for block in text.split("\n\n"))
    return [block for block in blocks if block and not block.startswith(("|", "!["))]


def is_prose(block: str) -> bool:
    """Whether a paragraph is sentences: no heading, no list, no short line."""
    return block[0].isalpha() and len(block.split()) >= LEAST


def documents(blocks: Sequence[str], count: Callable[[str], int], tokens: int) -> Iterator[list[str]]:
    """Runs of whole paragraphs of at most so many tokens; what is left behind the last full one is no document."""
    document: list[str] = []
    used = 0
    for block in blocks:
        size = count(block + "\n\n")
        if document and used + size > tokens:
            yield document
            document, used = [], 0
        document.append(block)
        used += size


def questions(number: int, document: Sequence[str]) -> Iterator[dict[str, object]]:
    """A document's questions, as lines of a file for ``read_questions``."""
    text = "\n\n".join(document)
    prose = [block for block in document if is_prose(block)]
    for i in range(QUESTIONS if prose else 0):  # fewer paragraphs than questions are asked about in several forms
        words = prose[i * len(prose) // QUESTIONS].split()
        half = (len(words) - WORDS) // 2
        named = {"begin": words[:WORDS], "middle": words[half : half + WORDS], "end": words[-WORDS:]}
        asked = FORMS[i % len(FORMS)].format(**{name: " ".join(part) for name, part in named.items()})
        turn = f"Here is a document.\n\n{text}\n\n{asked}"
        yield {"question_id": f"document {number}, question {i + 1}", "category": CATEGORY, "turns": [turn]}


def counter(model: str) -> Callable[[str], int]:
    """Counts tokens as the model does; reads its vocabulary only."""
    import llama_cpp

    llm = llama_cpp.Llama(model, vocab_only=True, verbose=False)
    return lambda text: len(llm.tokenize(text.encode("utf-8"), add_bos=False, special=False))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="JSON lines")
    parser.add_argument("-m", "--model", required=True, help="whose tokens are counted")
    parser.add_argument("--pages", type=Path, nargs="+", help="Markdown or text; default: docs/*.md")
    parser.add_argument("--tokens", type=int, default=3000, help="most tokens of a document (default 3000)")
    parser.add_argument("--documents", type=int, default=2, help="how many (default 2)")
    args = parser.parse_args(argv)
    pages = args.pages or sorted(path for path in (ROOT / "docs").glob("*.md") if path.name not in GENERATED)
    made = list(documents(paragraphs(pages), counter(args.model), args.tokens))[: args.documents]
    if len(made) < args.documents:
        msg = f"{args.documents} documents of {args.tokens} tokens were asked for, the pages are enough for {len(made)}"
        raise SystemExit(msg)
    lines = [question for number, document in enumerate(made, 1) for question in questions(number, document)]
    args.out.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")
    print(f"{len(lines)} questions about {len(made)} documents", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
