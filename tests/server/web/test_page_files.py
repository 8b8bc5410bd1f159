"""The files of the chat page: what is served, as what, under which policy; and that nothing comes from elsewhere."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path, PurePosixPath

import httpx
import pytest
from scripted import Scripted
from served import Served

import hd_edge
from hd_edge.server.page import page_files
from hd_edge.tiers.colours import COLOURS, css

WEB = Path(hd_edge.__file__).parent / "server" / "web"
OWN = [path for path in sorted(WEB.rglob("*.*")) if path.parent.name != "vendor"]
MOST_LINES = 300


@pytest.fixture(scope="module")
def url():
    with Served(Scripted(api_key="secret").app) as served:
        yield served.url


def test_the_page_comes_without_a_key_under_its_policy(url):
    for path in ("/", "/web/js/app.js"):
        response = httpx.get(url + path).raise_for_status()
        policy = dict(part.split(maxsplit=1) for part in response.headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == policy["img-src"] == "'self'"
        assert policy["require-trusted-types-for"] == "'script'"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert httpx.get(f"{url}/v1/models").status_code == 401


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("js/app.js", "text/javascript"),
        ("vendor/purify.es.mjs", "text/javascript"),
        ("vendor/purify.LICENSE", "text/plain"),
        ("style.css", "text/css"),
        ("tiers.css", "text/css"),
        ("icon.svg", "image/svg+xml"),
    ],
)
def test_files_have_their_types_and_are_not_sent_twice(url, name, kind):
    response = httpx.get(f"{url}/web/{name}").raise_for_status()
    assert response.headers["Content-Type"].partition(";")[0] == kind
    again = httpx.get(f"{url}/web/{name}", headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("name", ["", "no.js", "../errors.py", "%2e%2e/errors.py", "vendor", "vendor/README.md"])
def test_nothing_else_is_served(url, name):
    response = httpx.get(f"{url}/web/{name}", headers={"Authorization": "Bearer secret"})
    assert response.status_code == 404
    assert response.json()["error"]["message"]


def test_every_file_that_the_page_names_is_there():
    for name, file in page_files().items():
        if name.startswith("vendor/") or file.kind.startswith("image/"):
            continue
        text = file.data.decode("utf-8")
        wanted = re.findall(r'(?:src|href)="(web/[^"]+)"', text)
        folder = PurePosixPath("web") / PurePosixPath(name).parent
        for found in re.findall(r'^import .*?"(\.[^"]+)";$', text, re.MULTILINE):
            parts: list[str] = []
            for part in (folder / found).parts:
                parts = parts[:-1] if part == ".." else [*parts, part]
            wanted.append("/".join(parts))
        assert wanted or not name.endswith((".html", "app.js"))
        assert [one for one in wanted if one.removeprefix("web/") not in page_files()] == []


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_our_files_name_no_other_host_and_stay_small(path):
    text = path.read_text(encoding="utf-8")
    assert set(re.findall(r"https?://[\w.-]+", text)) <= {"http://www.w3.org"}
    assert len(text.splitlines()) <= MOST_LINES


def test_tiers_have_their_colours_and_meanings():
    page = (WEB / "index.html").read_text(encoding="utf-8")
    legend = dict(re.findall(r'<span class="(\w+)" title="([^"]+)">\1</span>', page))
    assert legend == {tier: colour.meaning for tier, colour in COLOURS.items()}
    text = (WEB / "tiers.css").read_text(encoding="utf-8")
    assert " ".join(re.search(r"\{(.*)\}", text, re.DOTALL).group(1).split()) == css()
    for path in OWN:
        if path.name != "tiers.css":
            assert not re.search(rf"--({'|'.join(COLOURS)}): ", path.read_text(encoding="utf-8"))


def test_the_page_has_nothing_inline():
    text = (WEB / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", text)
    assert all(re.fullmatch(r"\s*", inner) for inner in re.findall(r"<script[^>]*>(.*?)</script>", text, re.DOTALL))


def test_vendored_libraries_are_those_that_the_list_names():
    listed = (WEB / "vendor" / "README.md").read_text(encoding="utf-8")
    sums = {name: value for value, name in re.findall(r"^([0-9a-f]{64})  (\S+)$", listed, re.MULTILINE)}
    libraries = [path for path in (WEB / "vendor").iterdir() if path.suffix in (".js", ".mjs")]
    assert {path.name for path in libraries} == set(sums)
    for path in libraries:
        assert hashlib.sha256(path.read_bytes()).hexdigest() == sums[path.name]
        assert (path.parent / f"{path.name.split('.')[0]}.LICENSE").stat().st_size > 500
