"""Results that a user names a file for: what is theirs stays, what is ours is replaced as a whole."""

from __future__ import annotations

import errno
import json
import os
import shlex
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from hd_edge.cli.explain import MARK, Explanation
from hd_edge.errors import ConfigError
from hd_edge.store.output import check, figures_mark, figures_text, picture_mark, write

BENCH = figures_mark("bench")
FIGURES = figures_text("bench", {"schema": 1}).encode()
FOREIGN = {
    "page": b"<!doctype html>\n<title>my homepage, 10 years of work</title>\n",
    "page of an editor": b'<!doctype html>\n<html lang="en">\n<meta name="generator" content="mine">\n',
    "conversation": b'{"system": "", "messages": [{"role": "user", "content": "precious"}]}\n',
    "package": b'{"name": "package", "schema": 1, "hardware": {}}\n',
    "figures of another command": figures_text("check", {}).encode(),
    "png": b"\x89PNG\r\n\x1a\n" + bytes(100) + b"tEXtSoftware\0Matplotlib version3\n",
    "svg": b'<?xml version="1.0"?><svg><text>hd-edge bench</text></svg>',
    "pdf": b"%PDF-1.4 << /Creator (Matplotlib) >>",
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize(
    "mark", [MARK, BENCH, *(picture_mark(Path(f"a.{kind}")) for kind in ("png", "svg", "pdf", "jpg"))]
)
def test_what_is_not_ours_stays(tmp_path, kind, mark):
    path = tmp_path / "mine"
    path.write_bytes(FOREIGN[kind])
    for use in (lambda: check(path, mark), lambda: write(path, b"new", mark)):
        with pytest.raises(ConfigError, match="holds something else and would be lost"):
            use()
    assert path.read_bytes() == FOREIGN[kind]
    assert list(tmp_path.iterdir()) == [path]


def test_ours_keeps_its_mode_and_its_link(tmp_path):
    path, link = tmp_path / "run.json", tmp_path / "link.json"
    write(path, FIGURES, BENCH)
    (tmp_path / "usual").touch()
    assert path.stat().st_mode == (tmp_path / "usual").stat().st_mode
    path.chmod(0o640)
    link.symlink_to(path)
    again = figures_text("bench", {"schema": 1, "again": True}).encode()
    write(link, again, BENCH)
    assert link.is_symlink()
    assert path.read_bytes() == again
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert json.loads(again)["written_by"] == "hd-edge bench"


def test_what_stands_there_since_the_check_stays(tmp_path):
    path = tmp_path / "late.json"
    check(path, BENCH)
    path.write_bytes(FOREIGN["package"])
    with pytest.raises(ConfigError, match="would be lost"):
        write(path, FIGURES, BENCH)
    assert path.read_bytes() == FOREIGN["package"]


def test_a_full_disk_is_told_with_the_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"No space left on device: .*figures\.json"):
        write(tmp_path / "figures.json", FIGURES, BENCH)
    assert list(tmp_path.iterdir()) == []


def test_empty_files_and_streams_are_written(tmp_path):
    path = tmp_path / "empty.json"
    path.touch()
    write(path, FIGURES, BENCH)
    assert path.read_bytes() == FIGURES
    out = tmp_path / "thesis.txt"
    out.write_text("chapter one\n")
    code = "from pathlib import Path; from hd_edge.store.output import write; write(Path('/dev/stdout'), b'new', None)"
    with out.open("ab") as file:
        subprocess.run([sys.executable, "-c", code], stdout=file, check=True)
    assert out.read_text() == "chapter one\nnew"


WRITES = (
    "import sys, pathlib; from hd_edge.store.output import write; write(pathlib.Path(sys.argv[1]), b'new\\n', None)"
)


@pytest.mark.skipif(os.name == "nt", reason="no such streams")
@pytest.mark.parametrize(
    ("command", "status", "text"),
    [
        ("(echo head; {0} /dev/stdout; echo tail) > {1}", 0, "head\nnew\ntail\n"),
        ("(echo head; {0} /proc/self/fd/1; echo tail) > {1}", 0, "head\nnew\ntail\n"),
        ("exec 3> {1}; {0} /dev/fd/3; echo tail >&3", 0, "new\ntail\n"),
        ("echo kept > {1}; {0} /dev/stdin < {1}", 1, "kept\n"),
        ("echo kept > {1}; {0} /dev/fd/3 3< {1}", 1, "kept\n"),
        ("echo kept > {1}; {0} /dev/fd/9", 1, "kept\n"),
        ("echo kept > {1}; cd $(dirname {1}); {0} /proc/self/cwd/out", 1, "kept\n"),
    ],
    ids=["stdout", "a link", "a descriptor", "only read", "only read, too", "closed", "no descriptor"],
)
def test_what_the_shell_opened_goes_on_behind_a_result(tmp_path, command, status, text):
    out = tmp_path / "out"
    program = f"{sys.executable} -c {shlex.quote(WRITES)}"
    done = subprocess.run(["sh", "-c", command.format(program, out)], capture_output=True, check=False)
    assert (done.returncode, out.read_text()) == (status, text), done.stderr


@pytest.mark.skipif(os.name == "nt", reason="no such streams")
def test_a_descriptor_that_the_shell_did_not_open_is_ours_and_stays(tmp_path):
    own = tmp_path / "index"
    own.write_text("kept")
    with own.open("r+b") as file, pytest.raises(OSError, match=r"Bad file descriptor: '/dev/fd/\d+'"):
        write(Path(f"/dev/fd/{file.fileno()}"), FIGURES, BENCH)
    assert own.read_text() == "kept"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_takes_no_file_is_told_early(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigError, match="takes no new file"):
        check(tmp_path / "a.json", BENCH)


def test_a_page_is_replaced_by_a_page(tmp_path):
    path = tmp_path / "page.html"
    for _ in range(2):
        Explanation(lambda token: str(token)).write(path)
        check(path, MARK)
