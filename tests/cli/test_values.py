"""What options accept: every number has two bounds, every name and path is a text, told before anything is loaded."""

from __future__ import annotations

import click
import click.testing
import numpy as np
import pytest

from hd_edge import _native
from hd_edge.cli import cli
from hd_edge.cli.serve import _name, serve

NUMBERS = (click.IntRange, click.FloatRange)


def commands(command=cli, path=()):
    """Every command with its path."""
    if not isinstance(command, click.Group):
        return [(path, command)]
    context = click.Context(command)
    names = command.list_commands(context)
    return [found for name in names for found in commands(command.get_command(context, name), (*path, name))]


def options(kinds):
    """Every option of these types: path of its command, its flag, the command."""
    return [
        pytest.param(command, parameter, id=" ".join((*path, parameter.opts[0])))
        for path, command in commands()
        for parameter in command.params
        if isinstance(parameter.type, kinds)
    ]


def convert(command, parameter, text):
    return parameter.type.convert(text, parameter, click.Context(command))


@pytest.mark.parametrize(("command", "parameter"), options((*NUMBERS, click.types.IntParamType)))
def test_every_number_has_two_bounds(command, parameter):
    for text in (str(10**30), str(-(10**30)), "1e400", "nan"):
        with pytest.raises(click.BadParameter, match=r"is not in the range|is not a valid|is not a finite"):
            convert(command, parameter, text)
    assert parameter.type.min is not None
    assert -1 <= parameter.type.min <= parameter.type.max < 2**33, "what C takes"


def test_a_seed_that_is_too_large_is_told_the_range():
    command = dict(commands())[("generate",)]
    seed = next(one for one in command.params if one.name == "seed")
    with pytest.raises(click.BadParameter, match=r"4294967296 is not in the range -1<=x<=4294967295"):
        convert(command, seed, str(2**32))
    assert convert(command, seed, str(2**32 - 1)) == 2**32 - 1


def named():
    """Options that name a model, a file or a folder."""
    found = options(click.ParamType)
    return [one for one in found if isinstance(one.values[1].type, (click.Path, click.File)) or is_name(one.values[1])]


def is_name(parameter):
    return parameter.name in ("model", "alias", "host") or (parameter.name == "name" and not parameter.is_eager)


@pytest.mark.parametrize(("command", "parameter"), named())
def test_no_name_is_empty(command, parameter):
    with pytest.raises(click.BadParameter, match=r"it is empty|does not exist|No such file"):
        convert(command, parameter, "")


def test_a_huge_memory_budget_reserves_nothing(tmp_path):
    run = str(tmp_path / "run")
    buffer = _native.CorpusBuffer(512)
    buffer.add(np.arange(300, 340, dtype=np.int32))
    buffer.spill(run)
    rows = _native.CorpusRecords([run], 512, 1, 2**60)
    assert rows.next(1000)


@pytest.mark.parametrize(
    ("command", "option"), [("generate", "--explain"), ("bench", "--json"), ("bench", "--plot"), ("check", "--json")]
)
def test_outputs_are_written_over_earlier_outputs_only(tmp_path, command, option):
    path = tmp_path / "thesis.gguf"
    path.write_bytes(b"GGUF" + bytes(100))
    more = ["-p", "x"] if command == "generate" else []
    done = click.testing.CliRunner().invoke(cli, [command, "-m", str(path), *more, option, str(path)])
    assert done.exit_code == 2
    assert "holds something else and would be lost" in done.output
    assert path.read_bytes() == b"GGUF" + bytes(100)


@pytest.mark.parametrize(("command", "option"), [("generate", "--explain"), ("bench", "--json"), ("check", "--json")])
@pytest.mark.parametrize("holds", ["<!doctype html>\n<title>my homepage</title>", '{"name": "package"}'])
def test_a_file_of_the_same_kind_is_no_earlier_output(tmp_path, command, option, holds):
    path = tmp_path / "mine"
    path.write_text(holds)
    more = ["-p", "x"] if command == "generate" else []
    done = click.testing.CliRunner().invoke(cli, [command, "-m", "none.gguf", *more, option, str(path)])
    assert done.exit_code == 2
    assert "holds something else and would be lost" in done.output
    assert path.read_text() == holds


@pytest.mark.parametrize("alias", ["", " ", "a\nb", "\x1b[31m", "a\udc80", "a" * 1025])
def test_a_name_that_answers_cannot_repeat_is_refused(alias):
    (parameter,) = [one for one in serve.params if one.name == "alias"]
    with pytest.raises(click.BadParameter, match=r"it is empty|cannot be printed|it has 1025 characters"):
        parameter.type.convert(alias, parameter, None)
    assert parameter.type.convert("my model é", parameter, None) == "my model é"


def test_a_file_name_that_cannot_be_printed_gives_a_name_that_can():
    assert _name("/models/a\x1bb\udc80.gguf") == "a?b?"


@pytest.mark.parametrize("name", [":memory:", "file:x?mode=memory"])
@pytest.mark.parametrize("command", ["db merge NAME a", "db import NAME b", "db build-model --store NAME c"])
def test_what_only_sqlite_takes_for_a_path_is_refused(tmp_path, monkeypatch, command, name):
    monkeypatch.chdir(tmp_path)
    arguments = [name if word == "NAME" else word for word in command.split()]
    done = click.testing.CliRunner().invoke(cli, arguments)
    assert done.exit_code == 2
    assert f"{name!r} is no path of a file" in done.output
    assert not list(tmp_path.iterdir())
