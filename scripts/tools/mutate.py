"""Breaks one thing at a time in a copy of the repository and tells which tests notice.

    mutate.py --work /tmp/mutants [--only NAME]

The copy is built once and then rebuilt for every change; the checkout itself is not touched. Exit 1 if a change was
not noticed.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TESTS = [
    "engine/test_decode.py",
    "engine/test_sampling.py",
    "engine/test_distribution.py",
    "test_llama.py",
    "backend/test_exact.py",
]


@dataclass(frozen=True)
class Mutation:
    """One change that no test suite should let pass."""

    name: str
    what: str
    file: str
    old: str
    new: str


MUTATIONS = [
    Mutation(
        "acceptance-walk",
        "the first child is accepted, whatever token was drawn",
        "hd_edge/engine/decode.py",
        "            node = self._tree.child(node, token)\n",
        "            node = node + 1 if node + 1 < len(self._tree) and self._tree.parent[node + 1] == node else -1\n",
    ),
    Mutation(
        "kv-branch-copy",
        "a branch does not get the cells that the conversation has gained",
        "native/verify/verifier.cpp",
        "if (synced_[at(s)] < n_past_) api_.memory_seq_cp(memory_, 0, s, synced_[at(s)], n_past_);",
        "static_cast<void>(s);",
    ),
    Mutation(
        "kv-commit-drop",
        "one rejected row stays in the KV cache",
        "native/verify/verifier.cpp",
        "if (rows_ > kept) api_.memory_seq_rm(memory_, kAnySequence, end, -1);",
        "if (rows_ > kept) api_.memory_seq_rm(memory_, kAnySequence, end + 1, -1);",
    ),
    Mutation(
        "processor-prefix",
        "logits processors see a token that is not in the text",
        "hd_edge/engine/sampling.py",
        "changed = processor(input_ids, changed)",
        "changed = processor(np.append(input_ids, input_ids[-1:]), changed)",
    ),
    Mutation(
        "sibling-mask",
        "every node lies on every branch, so siblings see each other",
        "native/verify/verifier.cpp",
        "        seq_[at(i)] = sequences_.data() + first_leaf_[at(node)];\n"
        "        n_seq_[at(i)] = last_leaf_[at(node)] - first_leaf_[at(node)] + 1;",
        "        seq_[at(i)] = sequences_.data();\n        n_seq_[at(i)] = leaves_;",
    ),
    Mutation(
        "wrong-row",
        "the sampler reads the row before the node's",
        "native/verify/verifier.cpp",
        "return logits_of_root_ + at(node) * at(limits_.n_vocab);",
        "return logits_of_root_ + at(node > 0 ? node - 1 : 0) * at(limits_.n_vocab);",
    ),
]


def copy_repository(work: Path) -> Path:
    """The tracked files, as they lie in the checkout."""
    source = work / "source"
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in names.splitlines():
        target = source / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.is_file() or target.read_bytes() != (ROOT / name).read_bytes():
            shutil.copy2(ROOT / name, target)
    return source


def build(source: Path, work: Path) -> None:
    """Installs the copy beside itself."""
    site = work / "site"
    shutil.rmtree(site, ignore_errors=True)
    options = [
        "--no-deps",
        "--no-build-isolation",
        "--quiet",
        "--upgrade",
        f"-Cbuild-dir={work / 'build'}",
        f"--target={site}",
    ]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(source)], check=True)


# An editable install would win over the copy: its finder goes first.
RUN = (
    "import sys; sys.meta_path[:] = [f for f in sys.meta_path if 'ScikitBuild' not in type(f).__name__]; "
    "sys.path.insert(0, sys.argv.pop(1)); import hd_edge, pytest; "
    "assert hd_edge.__file__.startswith(sys.path[0]); sys.exit(pytest.main(sys.argv[1:]))"
)


def failures(source: Path, work: Path, limit: int) -> Counter[str]:
    """Failed tests by file and function."""
    tests = [f"tests/{name}" for name in TESTS]
    command = [sys.executable, "-c", RUN, str(work / "site"), "-q", f"--maxfail={limit}", *tests]
    answer = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    found = Counter(re.findall(r"^(?:FAILED|ERROR) (\S+?::\w+)", answer.stdout, flags=re.MULTILINE))
    if answer.returncode not in (0, 1):
        found["the test process died" if answer.returncode < 0 else f"pytest ended with {answer.returncode}"] += 1
    return found


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for the copy and its build")
    parser.add_argument("--only", nargs="+", choices=[m.name for m in MUTATIONS])
    parser.add_argument("--limit", type=int, default=30, help="stop a run after so many failures")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    missed = 0
    for mutation in MUTATIONS:
        if options.only and mutation.name not in options.only:
            continue
        source = copy_repository(options.work)
        file = source / mutation.file
        text = file.read_text()
        if text.count(mutation.old) != 1:
            raise SystemExit(
                f"{mutation.name}: its place in {mutation.file} occurs {text.count(mutation.old)} times, not 1"
            )
        file.write_text(text.replace(mutation.old, mutation.new))
        build(source, options.work)
        found = failures(source, options.work, options.limit)
        missed += not found
        print(f"{mutation.name} ({mutation.what}): {'noticed' if found else 'NOT NOTICED'}", flush=True)
        for test, count in sorted(found.items()):
            print(f"    {test} ({count})", flush=True)
    copy_repository(options.work)
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
