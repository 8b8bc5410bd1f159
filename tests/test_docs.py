"""The documentation against the code: commands, options, public names, links, examples."""

from __future__ import annotations

import inspect
import re
import shlex
import subprocess
from pathlib import Path

import children
import click
import pytest

import hd_edge
from hd_edge.cli import cli

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MINE = (
    *("quickstart", "cli", "python-api", "integrations", "tuning", "troubleshooting", "server"),
    *("chat", "assistant", "editor", "notebook"),
)


def blocks(page: Path, language: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [text for kind, text in found if re.fullmatch(language, kind)]


def command_lines():
    for page in PAGES:
        for block in blocks(page, "(?:sh|bash|console)?"):
            for line in block.replace("\\\n", " ").splitlines():
                if line.strip().removeprefix("$ ").startswith("hd-edge "):
                    yield pytest.param(line.strip().removeprefix("$ "), id=f"{page.name}: {line.strip()[:60]}")


def test_cli_reference_is_that_of_the_code():
    script = ROOT / "scripts" / "tools" / "cli_reference.py"
    same = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == children.python(script).stdout
    assert same, "run scripts/tools/cli_reference.py > docs/cli.md"


@pytest.mark.parametrize("line", list(command_lines()))
def test_commands_in_the_docs_exist_with_their_options(line):
    words = shlex.split(line, comments=True)[1:]
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group):
        while words and words[0] == "--debug":
            words.pop(0)
        found = command.get_command(context, words[0]) if words else None
        if words and words[0] in ("VERB", "--help"):
            return
        assert found is not None, f"no command {words[0] if words else ''!r} in {line!r}"
        command = found
        words.pop(0)
    known = {name for p in command.params for name in (*p.opts, *p.secondary_opts)} | {"--help", "-h"}
    for word in words:
        if re.match(r"--?[a-z]", word):
            assert word.split("=")[0] in known, f"{command.name} has no option {word}"


def test_every_command_and_option_has_help():
    context = click.Context(cli)

    def check(command, name):
        assert command.help or command.short_help, name
        if isinstance(command, click.Group):
            for verb in command.list_commands(context):
                check(command.get_command(context, verb), f"{name} {verb}")

    check(cli, "hd-edge")


def test_python_api_names_every_public_name():
    text = (ROOT / "docs" / "python-api.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    assert set(hd_edge.__all__) <= documented
    for name in documented - set(hd_edge.__all__) - {"tier"}:
        assert hasattr(hd_edge.Llama, name), f"{name} is documented and not there"
    signature = inspect.signature(hd_edge.Llama.__init__)
    described = re.search(r"^`Llama\(model_path, \*, (.*), \*\*settings\)`", text, re.MULTILINE)[1]
    for part in described.split(", "):
        name, _, default = part.partition("=")
        assert repr(signature.parameters[name].default).replace("'", '"') == default


def test_public_names_have_docstrings():
    for name in hd_edge.__all__:
        if name != "__version__":
            assert getattr(hd_edge, name).__doc__, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if not re.match(r"\w+:", target):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_index_names_every_page():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for page in sorted((ROOT / "docs").glob("*.md")):
        assert page.name == "README.md" or f"]({page.name})" in index, page.name


def test_the_readme_does_not_install_what_is_not_published():
    """Every page that names an extra installs from a checkout; messages ask ``extras.install``."""
    for path in (*PAGES, *(ROOT / "hd_edge").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"pip install ['\"]?(-U )?hd[-_]edge", text), path
        assert path in PAGES or "pip install" not in text.replace("``pip install``", ""), path


@pytest.mark.parametrize("name", MINE)
def test_python_examples_compile(name):
    for block in blocks(ROOT / "docs" / f"{name}.md", "python"):
        compile(block, name, "exec")


def example(heading: str) -> str:
    text = (ROOT / "docs" / "integrations.md").read_text(encoding="utf-8")
    section = text[text.index(f"\n## {heading}\n") + 1 :]
    return re.search(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)[1]


@pytest.fixture(scope="module")
def address(smollm2_q4_0, tmp_path_factory):
    """A running server."""
    command = [*children.HD_EDGE, "serve", "-m", str(smollm2_q4_0), "-t", "1", "--port", "0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    yield children.address(process)[0]
    process.terminate()
    process.communicate()


def test_openai_example(address, capsys):
    exec(example("openai").replace("http://127.0.0.1:8080", address), {})
    assert "accepted_prediction_tokens=" in capsys.readouterr().out


def test_structured_output_example(smollm2_q4_0, capsys):
    exec(example("Structured output").replace("model.gguf", str(smollm2_q4_0)), {})
    assert "'age':" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("heading", "package"), [("LangChain", "langchain_openai"), ("LlamaIndex", "llama_index")])
def test_framework_examples(address, capsys, heading, package):
    pytest.importorskip(package)
    exec(example(heading).replace("http://127.0.0.1:8080", address), {})
    assert capsys.readouterr().out.strip()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_outlines_example(smollm2_q4_0, capsys):
    pytest.importorskip("outlines")
    exec(example("Outlines").replace("model.gguf", str(smollm2_q4_0)), {})
    assert capsys.readouterr().out.strip() in ("yes", "no")


def test_explain_says_what_the_numbers_mean():
    from hd_edge.cli.why import verdict

    cheap = verdict({2: 1.1, 4: 1.2, 8: 1.4, 16: 2.6}, 3.0)
    assert cheap[0].startswith("A forward of 16 rows costs 2.60 times one row here: a draft of 15 tokens pays")
    assert "cheap" in cheap[1]
    assert "3.00 tokens" in cheap[2]
    dear = verdict({2: 1.9, 4: 3.2}, 1.05)
    assert "only sure drafts pay" in dear[1]
    assert "hardly repeat" in dear[2]
    assert verdict({}, 1.0) == ["The cost curve is not known yet: the answers were too short to measure it."]
    assert verdict({2: 1.0}, 1.0, "vision model") == ["This model decodes plainly: vision model."]


def test_doctor_explain_runs(smollm2_q4_0):
    done = children.hd_edge("doctor", "-m", smollm2_q4_0, "-t", "1", "--explain")
    assert "cost of n rows" in done.stdout
    assert "verdict" in done.stdout
    assert done.stdout.count("tokens/forward") == 3
