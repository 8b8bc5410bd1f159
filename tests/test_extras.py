"""The one hint that says how to install: from where this copy came, in a form that a shell takes."""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from hd_edge import extras, model
from hd_edge.extras import install


@pytest.fixture
def came_from(monkeypatch):
    """Pretends that pip installed hd_edge from there, and that its pip is the shell's."""

    def pretend(origin):
        class Found:
            def read_text(self, name):
                assert name == "direct_url.json"
                return None if origin is None else json.dumps(origin)

        def distribution(name):
            if origin == "nowhere":
                raise PackageNotFoundError(name)
            return Found()

        monkeypatch.setattr(extras, "distribution", distribution)
        monkeypatch.setattr(extras.shutil, "which", lambda _: str(Path(sys.executable).with_name("pip")))

    return pretend


@pytest.mark.parametrize(
    ("origin", "source"),
    [
        ({"url": "file:///home/ann/my%20code/hd_edge", "dir_info": {}}, '"/home/ann/my code/hd_edge[server]"'),
        ({"url": "file:///src/hd_edge", "dir_info": {"editable": True}}, '-e "/src/hd_edge[server]"'),
        ({"url": "file:///tmp/hd_edge-1-abi3.whl", "archive_info": {}}, '"/tmp/hd_edge-1-abi3.whl[server]"'),
        ({"url": "https://x.org/hd_edge", "vcs_info": {"vcs": "git"}}, '"hd-edge[server] @ git+https://x.org/hd_edge"'),
        ({"url": "https://x.org/hd_edge.zip", "archive_info": {}}, '"hd-edge[server] @ https://x.org/hd_edge.zip"'),
        (None, '"hd-edge[server]"'),
        ("nowhere", '"hd-edge[server]"'),
    ],
    ids=["checkout", "editable", "wheel", "git", "archive", "index", "not installed"],
)
def test_the_command_installs_from_where_this_copy_came(came_from, origin, source):
    came_from(origin)
    assert install("server") == f"pip install {source}"
    assert install(options="--no-deps") == f"pip install --no-deps {source.replace('[server]', '')}"


def test_another_pip_on_the_path_is_not_named(came_from, monkeypatch):
    came_from(None)
    for other in (None, "/usr/bin/pip"):
        monkeypatch.setattr(extras.shutil, "which", lambda _, other=other: other)
        assert install("llm") == f'"{sys.executable}" -m pip install "hd-edge[llm]"'


def test_every_extra_that_a_message_names_is_one(came_from):
    """In the sources, and in the project file."""
    project = (Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8")
    section = project[project.index("[project.optional-dependencies]") : project.index("[project.scripts]")]
    offered = {line.split(" = ")[0] for line in section.splitlines()[1:] if " = " in line}
    named = {
        name
        for path in Path(model.__file__).parent.parent.rglob("*.py")
        for name in re.findall(r"install\('(\w+)'\)", path.read_text(encoding="utf-8"))
    }
    assert named == {"bench", "cli", "demo", "hub", "server"}
    assert named <= offered
