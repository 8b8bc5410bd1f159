"""What people install: an sdist makes a wheel, which answers in an empty environment of two Pythons."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SUPPORTED = range(10, 14)  # Python 3.10 to 3.13


def interpreters() -> dict[str, str]:
    """Supported versions that are installed here, oldest first."""
    found = {}
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    for minor in SUPPORTED:
        name = f"python3.{minor}"
        candidates = [*map(str, sorted(pyenv.glob(f"3.{minor}.*/bin/{name}"))), shutil.which(name)]  # shims may refuse
        if path := next(filter(None, candidates), None):
            found[f"3.{minor}"] = path
    return found


FOUND = interpreters()
ENDS = list(FOUND)[:: max(len(FOUND) - 1, 1)]


def run(*command, **more) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False, timeout=1500, **more)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done.stdout


def empty(python: str, folder: Path) -> Path:
    """A new environment's interpreter."""
    run(python, "-m", "venv", folder)
    inside = folder / "bin" / "python"
    run(inside, "-m", "pip", "install", "-q", "--upgrade", "pip")
    return inside


@pytest.mark.slow
@pytest.mark.parametrize("version", ENDS)
def test_sdist_and_wheel_answer_in_an_empty_environment(tmp_path, survival, version):
    survival.what = "sdist to wheel to an answer in an empty environment"
    survival.note = f"Python {', '.join(ENDS)}"
    with survival.case():
        maker = empty(FOUND[version], tmp_path / "maker")
        run(maker, "-m", "pip", "install", "-q", "build")
        run(maker, "-m", "build", "--sdist", "--outdir", tmp_path / "dist", ROOT)
        (sdist,) = (tmp_path / "dist").glob("*.tar.gz")
        run(maker, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path / "dist", sdist)
        (wheel,) = (tmp_path / "dist").glob("*.whl")
        names = run(maker, "-m", "zipfile", "-l", wheel)
        for part in ("_native", "_row_kernels", "py.typed", "server/web/index.html", "draft/calibration.bin"):
            assert re.search(rf"hd_edge/{part}\b", names), part
        user = empty(FOUND[version], tmp_path / "user")
        run(user, "-m", "pip", "install", "-q", f"{wheel}[demo]")  # llama-cpp-python from pip's cache, or built
        program = user.parent / "hd-edge"
        here = {"env": {**os.environ, "HD_EDGE_HOME": str(tmp_path / "home")}, "cwd": tmp_path}
        assert json.loads(run(program, "doctor", "--json", **here))["versions"]
        asked = ("-m", "demo", "-p", "The capital of France is", "-n", 8, "--temp", 0)
        assert run(program, "generate", *asked, **here).strip()


def test_there_is_more_than_one_python_to_try():
    if len(FOUND) < 2:
        pytest.skip(f"only Python {sys.version.split()[0]} is installed")
    assert len(ENDS) == 2
