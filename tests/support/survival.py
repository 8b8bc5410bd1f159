"""How many cases a test tried and how many survived: counted by tests, collected into one file for the table.

A test takes the fixture ``survival`` and opens ``survival.case()`` around each case. Of a long test that does not, the
file says one case tried. ``--survival FILE`` writes what was collected, as JSON.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path

import pytest

LONG = ("slow", "kill", "soak")


class Survival:
    """Cases of one test.

    Attributes:
        what: What the table calls them.
        tried: Begun.
        survived: Ended as they must.
        note: A measured figure, for the table.
    """

    def __init__(self, what: str) -> None:
        self.what, self.note = what, ""
        self.tried = self.survived = 0

    @contextmanager
    def case(self, count: int = 1):
        """So many cases in this block; they have survived if it raises nothing."""
        self.tried += count
        yield
        self.survived += count


_COUNTED = pytest.StashKey[Survival]()


@pytest.fixture
def survival(request: pytest.FixtureRequest) -> Survival:
    counted = request.node.stash[_COUNTED] = Survival(request.node.originalname.removeprefix("test_").replace("_", " "))
    return counted


class Collector:
    """What the tests of one run reported."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, object]] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item):
        report = yield
        ended = report.when == "call" or report.skipped or report.failed
        if ended and (found := self._row(item, report)):
            self.rows.append(found)
        return report

    def _row(self, item: pytest.Item, report: pytest.TestReport) -> dict[str, object] | None:
        counted = item.stash.get(_COUNTED, None)
        if counted is None and not any(item.get_closest_marker(name) for name in LONG):
            return None
        if counted is None:
            counted = Survival(item.name.removeprefix("test_").replace("_", " "))
        tried = max(counted.tried, 1)
        survived = tried if report.passed and not counted.tried else counted.survived
        if report.failed:
            survived = min(survived, tried - 1)
        return {
            "room": Path(item.nodeid).parts[1] if len(Path(item.nodeid).parts) > 2 else "",
            "test": item.nodeid,
            "what": counted.what,
            "tried": 0 if report.skipped else tried,
            "survived": 0 if report.skipped else survived,
            "seconds": round(report.duration, 1),
            "note": str(report.longrepr[2]) if report.skipped and isinstance(report.longrepr, tuple) else counted.note,
        }

    def pytest_sessionfinish(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(self.rows, indent=1) + "\n", encoding="utf-8")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--survival", type=Path, help="write how many cases were tried and survived, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    if (path := config.getoption("--survival")) is not None:
        config.pluginmanager.register(Collector(path), "hd_edge-survival")
