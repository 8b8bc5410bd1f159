"""What the pages print runs as it is printed, page by page, in a folder that holds the files they name."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import platformdirs.macos
import platformdirs.unix
import platformdirs.windows
import pytest
import yaml
from children import address
from served import Served
from terminal import Terminal

from hd_edge import Llama
from hd_edge.server import create_app

ROOT = Path(__file__).parent.parent
NAMES = (
    "quickstart",
    "chat",
    "assistant",
    "editor",
    "server",
    "drafter",
    "integrations",
    "prefix-cache",
    "store",
    "tuning",
)
PAGES = ["README.md", *(f"docs/{name}.md" for name in NAMES)]


def blocks(page: str, language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [text for kind, text in found if kind == language]


def commands(page: str) -> list[str]:
    lines = [line for block in blocks(page, "") for line in block.replace("\\\n", " ").splitlines()]
    return [line.split("  #")[0].strip() for line in lines if re.match(r"(echo .*\| )?hd-edge ", line)]


@pytest.fixture
def folder(tmp_path, models, monkeypatch):
    """Where the pages' commands run: a small random model stands for every one that they name, the demo too."""
    model = models("Q4_0")
    names = ("model.gguf", "other.gguf", "vicuna-13b.Q4_0.gguf", "MODEL", "models/qwen-7b.Q4_0.gguf")
    for path in (*names, ".cache/hd_edge/SmolLM2-135M-Instruct.Q4_0.gguf"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).symlink_to(model)
    for path in ("manual.txt", "my-prompts.txt"):
        (tmp_path / path).write_text("the cat sat\n", encoding="utf-8")
    for path in ("prompts.jsonl", "corpus.jsonl"):
        (tmp_path / path).write_text('{"prompt": "the cat", "text": "the cat sat on the mat"}\n', encoding="utf-8")
    for name in ("HD_EDGE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "HD_EDGE_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


@pytest.mark.skipif(sys.platform != "linux", reason="the folders of Linux")
@pytest.mark.parametrize("page", PAGES)
@pytest.mark.slow
def test_the_commands_of_a_page_run(page, folder):
    found = commands(page)
    assert found
    if page == "docs/store.md":
        for name in ("store", "one", "two"):
            with Llama(str(folder / "model.gguf"), n_ctx=256, store=folder / f"{name}.sqlite3", n_threads=1) as llm:
                llm.create_completion("the cat", max_tokens=20)
    for line in found:
        if line == "hd-edge chat":  # asks a person
            run_in_terminal(line, folder)
        elif line.startswith("hd-edge serve"):
            run_server(f"{line} --port 0", folder)
        else:
            typed = "y\n" if " purge " in line else "/stats\n/exit\n"
            done = subprocess.run(
                ["bash", "-c", line], cwd=folder, input=typed, capture_output=True, text=True, timeout=300
            )
            assert done.returncode == 0, f"{line}: {done.stderr}"
    assert not (folder / ".hd_edge").exists()


def run_in_terminal(line: str, folder: Path) -> None:
    chat = Terminal(["bash", "-c", f"cd {folder}; {line}"], columns=200)
    try:
        chat.expect("number [1]")
        chat.type("\n")
        chat.expect("\n> ")
        chat.type("\x04")
        assert chat.end() == 0
    finally:
        chat.close()


def run_server(line: str, folder: Path) -> None:
    process = subprocess.Popen(["bash", "-c", f"exec {line}"], cwd=folder, stderr=subprocess.PIPE, text=True)
    address(process)
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 0


def test_what_is_left_behind_lies_where_the_page_says(folder):
    """And nowhere else: the table of folders is that of the code."""
    text = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| (\w+) \| (`.*`) \|$", text, re.MULTILINE))
    systems = {
        "Linux": platformdirs.unix.Unix,
        "macOS": platformdirs.macos.MacOS,
        "Windows": platformdirs.windows.Windows,
    }
    for system, kind in systems.items():
        data, cache = (cell.strip("`") for cell in rows[system].split(" | "))
        if system == "Windows":
            assert (data, cache) == (r"%LOCALAPPDATA%\hd_edge\hd_edge", r"%LOCALAPPDATA%\hd_edge\hd_edge\Cache")
            continue
        at = kind("hd_edge")
        assert (Path(data).expanduser(), Path(cache).expanduser()) == (Path(at.user_data_dir), Path(at.user_cache_dir))
    before = {path.name for path in folder.iterdir()}
    line = ["hd-edge", "chat", "-m", "demo", "-n", "8", "--session", "work", "-q"]
    subprocess.run(line, input="hello " * 200, text=True, check=True, capture_output=True)
    if sys.platform == "linux":
        assert {path.name for path in folder.iterdir()} - before == {".local"}
        assert [path.name for path in (folder / ".local" / "share").iterdir()] == ["hd_edge"]
        assert [path.name for path in (folder / ".cache").iterdir()] == ["hd_edge"]
    report = subprocess.run(["hd-edge", "doctor", "--json"], text=True, check=True, capture_output=True).stdout
    places = json.loads(report)["places"]
    assert places["data folder"] == str(platformdirs.user_data_path("hd_edge"))
    assert places["cache folder"] == str(platformdirs.user_cache_path("hd_edge"))


@pytest.fixture
def in_folder_of_smollm2(smollm2_q4_0, tmp_path, monkeypatch):
    for name in ("model.gguf", "vicuna-7b.Q4_0.gguf"):
        (tmp_path / name).symlink_to(smollm2_q4_0)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("page", ["README.md", "docs/notebook.md", "docs/python-api.md"])
def test_the_cells_of_a_page_run_one_after_the_other(page, in_folder_of_smollm2, capsys):
    cells: dict[str, object] = {}
    for block in blocks(page, "python"):
        exec(block, cells)
    assert "tok/s" in capsys.readouterr().out or page == "docs/python-api.md"
    cells["llm"].close()


def test_the_agent_of_the_page_calls_its_tool(smollm2_q4_0, capsys):
    llm = Llama(str(smollm2_q4_0), n_ctx=2048, store=None, prefix_cache=None, n_threads=1)
    with Served(create_app(llm, "local")) as served:
        (agent,) = blocks("docs/assistant.md", "python")
        names: dict[str, object] = {}
        exec(agent.replace("http://127.0.0.1:8080", served.url), names)
        roles = [message["role"] for message in names["talk"]]
        assert roles[:3] == ["user", "assistant", "tool"]
        assert names["talk"][2]["content"] in ("3 euros", "4 euros")


def test_the_settings_of_editors_are_whole():
    """They parse, and lead to the server as ``hd-edge serve`` listens by default."""
    (text,) = blocks("docs/editor.md", "yaml")
    (model,) = yaml.safe_load(text)["models"]
    assert (model["provider"], model["apiBase"]) == ("openai", "http://127.0.0.1:8080/v1")
    aider, zed = (json.loads(text) for text in blocks("docs/editor.md", "json"))
    (name,) = aider
    assert f"aider --model {name}" in (ROOT / "docs" / "editor.md").read_text(encoding="utf-8")
    (provider,) = zed["language_models"]["openai_compatible"].values()
    assert provider["api_url"] == "http://127.0.0.1:8080/v1"
