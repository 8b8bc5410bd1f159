"""``hd-edge db`` within this process."""

import json

from click.testing import CliRunner

from hd_edge.cli import cli


def run(*args, status=0, **more):
    """Its stdout; its errors are raised."""
    result = CliRunner().invoke(cli, ["db", *map(str, args)], **more)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == status, result.output
    return result.stdout


def run_json(*args, **more):
    """The JSON that it prints."""
    return json.loads(run(*args, "--json", **more))
