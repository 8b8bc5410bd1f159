#!/usr/bin/env python3
"""Runs the suite against releases of llama-cpp-python, says which may be admitted, and admits them.

    try_llama_cpp.py 0.3.35 0.3.37 [--tests tests/engine tests/backend] [--only-wheels] [--json out.json] [--admit]

Each release gets an environment in ``build/llama-cpp-VERSION`` with a copy of the last commit, in which the release is
admitted: the range in pyproject.toml and hd_edge/backend/api.py, the versions that the library must say of itself, and
those that the kernels were tested with. What pytest said lies beside it. ``--admit`` makes the same changes here for
those that passed. A release without a wheel is built (minutes); ``--only-wheels`` leaves it out.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
API, LIBRARY, KERNELS, PROJECT = (
    *(f"hd_edge/backend/{name}.py" for name in ("api", "library", "kernels")),
    "pyproject.toml",
)
SAYS = """
import ctypes
from llama_cpp import llama_cpp
for name in ("llama_version", "ggml_version"):
    function = getattr(llama_cpp._lib, name, None)
    if function is not None:
        function.restype = ctypes.c_char_p
        print(name, function().decode())
"""


def run(*command: object, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, cwd=cwd)


def admitted(texts: dict[str, str], version: str, says: dict[str, str]) -> dict[str, str]:
    """The files that pin a release, with this one within them.

    Args:
        texts: Of ``API``, ``LIBRARY``, ``KERNELS`` and ``PROJECT``.
        version: Of llama-cpp-python.
        says: What its library says of itself: ``llama_version``, ``ggml_version``.

    Raises:
        ValueError: A file does not look as this script knows it.
    """
    new = tuple(map(int, version.split(".")))
    found = re.search(r"^TESTED = \(\((.*?)\), \((.*?)\)\)", texts[API], re.MULTILINE)
    if found is None:
        raise ValueError(f"{API} has no TESTED = (from, below)")
    low, high = (tuple(map(int, part.split(", "))) for part in found.groups())
    low, high = min(low, new), max(high, (*new[:-1], new[-1] + 1))
    wanted = ">={},<{}".format(*(".".join(map(str, one)) for one in (low, high)))
    out = dict(texts)
    told = ", ".join(f'"{name}": "{value.split("-")[0]}"' for name, value in says.items())
    entry = f'    "{version}": {{{told}}},\n'
    changes = [
        (API, r"^TESTED = \(\(.*?\)\)", f"TESTED = ({low}, {high})"),
        (PROJECT, r"llama-cpp-python>=[^\"]*", f"llama-cpp-python{wanted}"),
        (KERNELS, r"^TESTED = \((.*?),?\)", rf'TESTED = (\1, "{version}")'),
        (LIBRARY, r"^(VERSIONS: .*= \{\n)", rf"\1{entry}"),
    ]
    for file, pattern, text in changes:
        out[file], n = re.subn(pattern, text, out[file], count=1, flags=re.MULTILINE)
        if n != 1:
            raise ValueError(f"{file} has nothing like {pattern}")
    return out


def admit(root: Path, version: str, says: dict[str, str]) -> None:
    """Changes the files below a folder."""
    texts = {name: (root / name).read_text("utf-8") for name in (API, LIBRARY, KERNELS, PROJECT)}
    for name, text in admitted(texts, version, says).items():
        (root / name).write_text(text, encoding="utf-8")


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    return ((done.stderr.strip() or done.stdout.strip()).splitlines() or ["it failed"])[-1]


def tried(version: str, tests: list[str], *, only_wheels: bool) -> dict[str, object]:
    """What the suite says of one release."""
    folder = ROOT / "build" / f"llama-cpp-{version}"
    python, copy = folder / "bin" / "python", folder / "src"
    result: dict[str, object] = {"version": version, "passed": 0, "failed": 0, "why": "", "says": {}}
    if not python.exists():
        run(sys.executable, "-m", "venv", folder)
    wheel = ["--only-binary", "llama-cpp-python"] if only_wheels else []
    done = run(python, "-m", "pip", "install", "-q", *wheel, f"llama-cpp-python=={version}")
    if done.returncode:
        return result | {"why": f"no environment: {last_line(done)}"}
    says = dict(line.split() for line in run(python, "-c", SAYS).stdout.splitlines())
    copy.mkdir(exist_ok=True)
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x", "-C", str(copy)], input=archive, check=True)
    admit(copy, version, says)
    done = run(python, "-m", "pip", "install", "-q", ".[demo,cli,bench,server]", "--group", "test", cwd=copy)
    if done.returncode:
        return result | {"says": says, "why": f"hd_edge does not install: {last_line(done)}"}
    done = run(python, "-P", "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests, cwd=copy)
    (folder / "pytest.log").write_text(done.stdout + done.stderr, encoding="utf-8")
    counts = {name: int(n) for n, name in re.findall(r"(\d+) (passed|failed|error)", last_line(done))}
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    return result | {
        "says": says,
        "passed": counts.get("passed", 0),
        "failed": counts.get("failed", 0) + counts.get("error", 0),
        "why": "; ".join(failed[:5]) or ("" if counts else last_line(done)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("versions", nargs="+")
    parser.add_argument("--tests", nargs="*", default=["tests"])
    parser.add_argument("--only-wheels", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--admit", action="store_true", help="change this checkout for those that passed")
    options = parser.parse_args()
    found = [tried(version, options.tests, only_wheels=options.only_wheels) for version in options.versions]
    print("| llama-cpp-python | passed | failed | |\n|---|--:|--:|---|")
    for row in found:
        print(f"| {row['version']} | {row['passed']} | {row['failed']} | {row['why']} |")
        if options.admit and row["passed"] and not row["failed"]:
            admit(ROOT, row["version"], row["says"])
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if any(row["failed"] or not row["passed"] for row in found):
        sys.exit(1)


if __name__ == "__main__":
    main()
