"""``hd-edge models``: names, and files of other tools that are found and never copied."""

from __future__ import annotations

import contextlib
import io
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

from hd_edge import ConfigError, ModelFileError, StoreBusyError
from hd_edge.cli import cli
from hd_edge.cli import models as models_verb
from hd_edge.model import find as registry
from hd_edge.model import lock


def run(*arguments):
    return CliRunner().invoke(cli, ["models", *arguments], catch_exceptions=False)


def put(path: Path, model: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(model)
    return path


def test_add_list_info_remove(home, models):
    model = models("Q4_0")
    assert run("list").stdout == "demo  SmolLM2-135M (extra demo)\n"
    assert run("add", str(model), "-a", "tiny").exit_code == 0
    assert run("add", str(model)).exit_code == 0
    named = json.loads(run("list", "--json").stdout)["named"]
    assert named == {"tiny": str(model), "Q4_0": str(model)}
    assert registry.resolve("tiny") == str(model)
    assert "MB)" in run("list").stdout
    report = json.loads(run("info", "tiny", "--json").stdout)
    assert report["architecture"] == "llama"
    assert report["can draft"] == "yes"
    assert "llama" in run("info", "tiny").stdout
    assert run("remove", "tiny").exit_code == 0
    assert model.is_file()
    with pytest.raises(ConfigError, match=r"no model is named 'tiny'; there are: Q4_0"):
        run("remove", "tiny")


def test_a_name_can_be_used_where_a_file_can(home, models):
    run("add", str(models("Q4_0")), "-a", "tiny")
    options = ["-m", "tiny", "-t", "1", "-c", "128", "-n", "4", "-p", "the cat", "--json"]
    done = CliRunner().invoke(cli, ["generate", *options], catch_exceptions=False)
    assert done.exit_code == 0
    assert json.loads(done.stdout)["stats"]["tokens"] == 4


def test_refused(home, models, tmp_path):
    with pytest.raises(ModelFileError):
        registry.add(str(tmp_path / "none.gguf"))
    page = tmp_path / "page.gguf"
    page.write_text("<html>not found</html>")
    with pytest.raises(ModelFileError):
        registry.add(str(page))
    for alias in ("demo", "a/b", "-x", "a b", "a" * 5000):
        with pytest.raises(ConfigError, match="cannot be a model's name"):
            registry.add(str(models("Q4_0")), alias)
    assert registry.names() == {}


@pytest.mark.parametrize(
    "text",
    [*("", "[]", '{"models": 3}', '{"models": {"a": 1}}', "[" * 100_000), '{"models": {"a": "b"}, "theme": "dark"}'],
)
def test_a_list_that_is_not_ours_is_named_and_stays(home, models, text):
    (home / "hd_edge").mkdir()
    (home / "hd_edge" / "models.json").write_text(text)
    with pytest.raises(ConfigError, match=r"models\.json"):
        registry.names()
    with pytest.raises(ConfigError, match=r"models\.json"):
        registry.add(str(models("Q4_0")), "tiny")
    assert (home / "hd_edge" / "models.json").read_text() == text


@pytest.mark.parametrize("data", [b"null", b"[]", b'{"models": null}', b"{", b"\xff\xfe", b"[" * 100_000, b"1" * 5000])
def test_a_list_that_is_not_ours_is_told_in_words(home, data):
    (home / "hd_edge").mkdir()
    (home / "hd_edge" / "models.json").write_bytes(data)
    with pytest.raises(ConfigError, match=r"is no list of models \(it is no") as caught:
        registry.names()
    assert "Error" not in str(caught.value)
    assert "object has no" not in str(caught.value)


def test_names_that_are_given_at_once_are_all_kept(home, models):
    model = str(models("Q4_0"))
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: registry.add(model, f"m{number}"), range(64)))
        assert len(registry.names()) == 64
        list(pool.map(lambda number: registry.remove(f"m{number}"), range(63)))
    assert registry.names().keys() == {"m63"}


def test_names_wait_for_who_changes_them(home, models, monkeypatch):
    monkeypatch.setattr(lock, "WAIT", 0.0)
    registry.add(str(models("Q4_0")), "tiny")
    with lock.locked(home / "hd_edge"):
        for change in (lambda: registry.add(str(models("Q8_0")), "big"), lambda: registry.remove("tiny")):
            with pytest.raises(StoreBusyError, match=r"changing the files in .*hd_edge"):
                change()
    assert registry.names().keys() == {"tiny"}


def test_the_lock_is_its_owners_alone(home):
    for folder in (home / "hd_edge", home / "hd_edge" / "sessions"):
        with lock.locked(folder):
            modes = {path.name: path.stat().st_mode & 0o777 for path in folder.glob(".lock*")}
        assert modes[".lock"] == 0o600
        assert set(modes.values()) == {0o600}  # of SQLite's journal beside it too


def test_homes_that_are_not_known(home, models, monkeypatch):
    with pytest.raises(ConfigError, match="begins with ~no-such-user"):
        registry.add("~no-such-user/a.gguf")
    run("add", str(models("Q4_0")))
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # a user without an entry, and without HOME
    assert run("list").exit_code == 0
    assert registry.found() == []


def test_a_list_that_is_no_file_or_a_link_stays_one(home, models):
    (home / "hd_edge").mkdir()
    path = home / "hd_edge" / "models.json"
    os.mkfifo(path)
    with pytest.raises(ConfigError, match=r"models\.json"):
        registry.add(str(models("Q4_0")), "tiny")
    path.unlink()
    path.symlink_to(home / "dotfiles.json")
    registry.add(str(models("Q4_0")), "tiny")
    assert path.is_symlink()
    assert registry.names().keys() == {"tiny"}


def test_what_is_in_the_way_of_the_demo_model_stays(home, monkeypatch):
    from hd_edge.model import demo

    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setattr(demo, "package_model", lambda: Path("package.gguf"))
    path = home / "cache" / "hd_edge" / "SmolLM2-135M-Instruct.Q4_0.gguf"
    path.parent.mkdir(parents=True)
    os.mkfifo(path)
    with pytest.raises(ModelFileError, match="left alone"):
        demo.demo_model()
    assert path.is_fifo()


def test_models_of_other_tools_are_found(home, models):
    model, other = models("Q4_0"), models("Q8_0")
    blob = put(home / ".ollama/models/blobs/sha256-12ab", model)
    manifest = home / ".ollama/models/manifests/registry.ollama.ai/library/llama3.2/latest"
    manifest.parent.mkdir(parents=True)
    layers = [
        {"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:12ab"},
        {"mediaType": "application/vnd.ollama.image.license", "digest": "sha256:34cd"},
    ]
    manifest.write_text(json.dumps({"layers": layers}))
    own = manifest.parent.parent.parent / "somebody" / "tuned" / "v2"
    own.parent.mkdir(parents=True)
    own.write_text("no json")
    studio = put(home / ".lmstudio/models/maker/model-GGUF/model.Q8_0.gguf", other)
    put(home / ".lmstudio/models/maker/model-GGUF/mmproj-model.gguf", other)
    found = {one.name: one.path for one in registry.found()}
    assert found == {
        "ollama:llama3.2:latest": blob,
        "lmstudio:maker/model-GGUF/model.Q8_0.gguf": studio,
    }
    assert registry.resolve("ollama:llama3.2:latest") == str(blob)
    assert "ollama:llama3.2:latest" in run("list").stdout
    name, path = registry.add("ollama:llama3.2:latest", "three")
    assert (name, path) == ("three", blob)
    assert sorted(p.name for p in (home / "hd_edge").iterdir()) == [".lock", "models.json"]


def test_names_of_files_cannot_write_to_the_terminal(home, models):
    put(home / ".lmstudio/models/a/x\x1b]0;PWNED\x07\x1b[31mred\nfake: line.gguf", models("Q4_0"))
    out = run("list").output
    assert "PWNED" in out
    assert "\x1b" not in out
    assert "\x07" not in out
    assert len([line for line in out.splitlines() if "line.gguf" in line]) == 1
    (found,) = registry.found()
    for command in (("add", str(found.path), "-a", "x"), ("remove", "x")):
        said = run(*command).stderr
        assert r"x\x1b]0;PWNED\x07" in said
        assert len(said.splitlines()) == 1


def test_caches_are_found_once_per_file(home, models, monkeypatch):
    model, other = models("Q4_0"), models("Q8_0")
    put(home / ".cache/llama.cpp/a_model.gguf", model)
    monkeypatch.setenv("LLAMA_CACHE", str(home / "elsewhere"))
    put(home / "elsewhere/b-00001-of-00002.gguf", model)
    put(home / "elsewhere/b-00002-of-00002.gguf", other)
    snapshot = "models--owner--name-GGUF/snapshots/0a1b2c/sub/name.Q4_0.gguf"
    put(home / ".cache/huggingface/hub" / snapshot, other)
    assert [one.name for one in registry.found()] == [
        "hf:owner/name-GGUF/sub/name.Q4_0.gguf",
        "llama.cpp:b-00001-of-00002.gguf",
    ]
    put(home / "elsewhere/same.gguf", model)
    assert len(registry.found()) == 2


def test_who_may_draft_and_how_to_get_a_drafter(home, models, monkeypatch):
    from hd_edge.cli.model_report import model_report
    from hd_edge.model import demo

    def missing():
        raise ModelFileError("not installed")

    monkeypatch.setattr(demo, "package_model", missing)
    (hint,) = model_report(str(models("Q4_0")))["drafters"]
    assert hint.startswith("none found: ")
    assert "[demo]" in hint
    monkeypatch.setattr(demo, "package_model", lambda: models("Q4_0"))
    assert model_report(str(models("Q4_0")))["drafters"] == ["none found"]  # it is that model itself


def test_an_empty_name_is_no_drafter(home, models):
    done = CliRunner().invoke(cli, ["models", "info", str(models("Q4_0")), "--drafter", ""], catch_exceptions=False)
    assert done.exit_code == 0
    assert "drafter  " not in done.output


@pytest.mark.parametrize(
    ("name", "said"), [("nosuch", "tells$"), ("hf:o/r/f.gguf", r"`hd-edge models add hf:o/r/f\.gguf` downloads it$")]
)
def test_a_model_that_is_not_there_is_told_where_others_are(home, name, said):
    with pytest.raises(ModelFileError, match=rf"{name} does not exist: .* 'demo', or a name .*{said}"):
        CliRunner().invoke(cli, ["generate", "-m", name, "-p", "x"], catch_exceptions=False)


def test_a_person_is_told_where_models_are_looked_for(home, monkeypatch, models):
    monkeypatch.setenv("LLAMA_CACHE", str(home / "mine"))
    put(home / "mine" / "x" / "a.gguf", models("Q4_0"))
    assert run("list").stderr == ""
    told = io.StringIO()
    monkeypatch.setattr(told, "isatty", lambda: True, raising=False)
    with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.StringIO()) as listed:
        models_verb.list_models.main([], standalone_mode=False)
    assert "llama.cpp:x/a.gguf" in listed.getvalue()
    places = told.getvalue().splitlines()[0]
    assert all(str(home / place) in places for place in ("mine", ".ollama/models", ".lmstudio/models"))
    assert "`hd-edge models add FILE`" in told.getvalue()
