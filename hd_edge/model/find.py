"""Which models there are: names the user gave, and GGUF files that other tools already have on the disk.

Nothing is copied and nothing of other tools is written to. The names stand in ``models.json`` in the data folder.
"""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hd_edge.config import data_folder, user_path
from hd_edge.errors import ConfigError, ModelFileError, printable
from hd_edge.extras import install

from .folder import make_folder
from .lock import locked
from .parts import part_names
from .text_file import no_json, read_path

OLLAMA_MODEL = "application/vnd.ollama.image.model"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")  # no longer than a file's
HUB = "hf:"  # hf:owner/repository/file.gguf
OF_THE_HUB = re.compile(r"(?!.*(\.\.|--))[\w-]([\w.-]{0,94}[\w-])?", re.ASCII)  # an owner, or a repository


@dataclass(frozen=True)
class Found:
    """A model file of another tool.

    Attributes:
        name: What ``-m`` takes: tool, colon, the tool's name of it.
        path: The file.
    """

    name: str
    path: Path


def names() -> dict[str, Path]:
    """The names the user gave, and their files.

    Raises:
        ConfigError: ``models.json`` is damaged.
    """
    file = _file()
    if not os.path.lexists(file):
        return {}
    problem = 'it is not of the form {"models": {"name": "path"}}'
    try:
        if file.is_file():  # reading a FIFO would block for ever
            document = json.loads(read_path(file))
            if _is_list(document):
                return {name: Path(path) for name, path in document["models"].items()}
    except OSError as error:
        problem = error.strerror or str(error)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        problem = no_json(error)
    except (ValueError, RecursionError):  # too long, or too many lists in each other
        pass
    msg = f"{file} is no list of models ({problem}): mend or remove it, then add the models again"
    raise ConfigError(msg)


def _is_list(document: Any) -> bool:
    """What else it held would be lost with the next write."""
    if not isinstance(document, dict) or document.keys() != {"models"} or not isinstance(document["models"], dict):
        return False
    return all(isinstance(path, str) for path in document["models"].values())


def add(model: str, alias: str | None = None) -> tuple[str, Path]:
    """Gives a model a name; one that stands in the registry already gets the new file.

    Args:
        model: A GGUF file, a model found (``ollama:...``), or ``hf:owner/repository/file.gguf``, which is downloaded
            into the Hugging Face cache by ``huggingface_hub`` (extra ``hub``).
        alias: Its name; None: the file's name without ``.gguf``.

    Raises:
        ModelFileError: There is no such file, or it is no GGUF.
        ConfigError: The name has other characters than letters, digits, ``.``, ``_`` and ``-``, more than 255, or is
            taken; or the file is in a home folder that is not known.
    """
    from .gguf import read_header

    path = user_path(resolve(model, download=True)).absolute()
    read_header(str(path))
    name = alias or re.sub(r"[^A-Za-z0-9._-]", "-", path.stem)
    if not NAME.fullmatch(name) or name == "demo":
        shown = name if len(name) < 80 else f"{name[:80]}... ({len(name)} characters)"
        msg = f"{shown!r} cannot be a model's name: up to 255 letters, digits, '.', '_' and '-', and not 'demo'"
        raise ConfigError(msg)
    with locked(data_folder()):
        _write({**names(), name: path})
    return name, path


def remove(name: str) -> Path:
    """Forgets a name; the file stays.

    Raises:
        ConfigError: There is no such name.
    """
    with locked(data_folder()):
        known = names()
        if name not in known:
            msg = f"no model is named {name!r}; there are: {', '.join(sorted(known)) or 'none'}"
            raise ConfigError(msg)
        path = known.pop(name)
        _write(known)
    return path


def resolve(model: str, download: bool = False) -> str:
    """The file that ``-m`` names: ``demo``, a file, a name of the user's, or a model found. Unknown: as it is."""
    if model == "demo":
        from .demo import demo_model

        return str(demo_model())
    if os.path.isfile(model):  # noqa: PTH113 - Path raises where a name is too long
        return model
    if (path := names().get(model)) is not None:
        return str(path)
    if ":" in model:
        for one in found():
            if one.name == model:
                return str(one.path)
        if download and model.startswith(HUB):
            return str(_download(model))
    return model


def resolve_drafter(model: str) -> str:
    """The file that ``--drafter`` names, like ``resolve``, but ``demo`` as the package carries it.

    In Q4_1 it foresees a twentieth more of a large model's answers than in Q4_0, and a word takes as long.
    """
    if model == "demo":
        from .demo import package_model

        return str(package_model())
    return resolve(model)


def found() -> list[Found]:
    """Models of Ollama, LM Studio, llama.cpp's cache and the Hugging Face cache, by name."""
    seen: dict[Path, Found] = {}
    for one in (*_ollama(), *_folders(), *_hugging_face()):
        seen.setdefault(Path(os.path.realpath(one.path)), one)
    return sorted(seen.values(), key=lambda one: one.name)


def _home() -> Path:
    """The user's; where this system knows none, a folder that is not there."""
    return Path(os.path.expanduser("~"))  # noqa: PTH111 - Path raises there


def _cache() -> Path:
    """What programs keep of the user's, in the same way."""
    import platformdirs

    try:
        return platformdirs.user_cache_path()
    except RuntimeError:  # of platformdirs' newer versions
        return _home() / ".cache"


def places() -> list[Path]:
    """The folders in which ``found()`` looks."""
    return [_ollama_folder(), *(root for _, root in _tools()), _hub_folder()]


def _ollama_folder() -> Path:
    return Path(os.environ.get("OLLAMA_MODELS") or _home() / ".ollama" / "models")


def _hub_folder() -> Path:
    home = os.environ.get("HF_HOME") or _home() / ".cache" / "huggingface"
    return Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub")


def _ollama() -> Iterator[Found]:
    root = _ollama_folder()
    for manifest in _files(root / "manifests", "*"):
        try:
            layers: list[dict[str, Any]] = json.loads(read_path(manifest))["layers"]
            digests = [str(layer["digest"]) for layer in layers if layer["mediaType"] == OLLAMA_MODEL]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # another tool's file in a form we do not know: nothing to offer
        parts = manifest.relative_to(root / "manifests").parts  # host, name space, model, tag
        if len(parts) < 3:
            continue
        space, (name, tag) = list(parts[1:-2]), parts[-2:]
        prefix = "" if space in ([], ["library"]) else "/".join(space) + "/"
        for digest in digests:
            blob = root / "blobs" / digest.replace(":", "-")
            if blob.is_file():
                yield Found(f"ollama:{prefix}{name}:{tag}", blob)


def _tools() -> list[tuple[str, Path]]:
    return [
        ("lmstudio", _home() / ".lmstudio" / "models"),
        ("lmstudio", _home() / ".cache" / "lm-studio" / "models"),
        ("llama.cpp", Path(os.environ.get("LLAMA_CACHE") or _cache() / "llama.cpp")),
    ]


def _folders() -> Iterator[Found]:
    """Of tools whose models are files in a folder."""
    for tool, root in _tools():
        for path in _files(root, "*.gguf"):
            yield Found(f"{tool}:{path.relative_to(root).as_posix()}", path)


def _hugging_face() -> Iterator[Found]:
    root = _hub_folder()
    for path in _files(root, "models--*/snapshots/*/**/*.gguf", deep=False):
        repository, _, _, *inside = path.relative_to(root).parts
        yield Found(f"{HUB}{repository.removeprefix('models--').replace('--', '/', 1)}/{'/'.join(inside)}", path)


def _files(root: Path, pattern: str, deep: bool = True) -> Iterator[Path]:
    """Model files below a folder; of a file in parts the first, which llama.cpp is given."""
    if not root.is_dir():
        return
    for path in sorted(root.rglob(pattern) if deep else root.glob(pattern)):
        part = re.search(r"-(\d{5})-of-\d{5}\.gguf$", path.name)
        if path.is_file() and not path.name.startswith("mmproj") and (part is None or part[1] == "00001"):
            yield path


def _download(model: str) -> Path:
    parts = model.removeprefix(HUB).split("/")
    if len(parts) < 3:
        msg = f"{model!r} names no file: hf:owner/repository/file.gguf is expected"
        raise ConfigError(msg)
    if not all(map(OF_THE_HUB.fullmatch, parts[:2])) or {"", ".", ".."} & {*parts}:
        msg = f"{model!r} is no name of the hub: letters, digits, '.', '_' and '-' are expected in owner and repository"
        raise ConfigError(msg)
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        msg = f"{model} is not on this disk, and downloading needs {error.name}: {install('hub')}"
        raise ModelFileError(msg) from error
    repository, inside = "/".join(parts[:2]), parts[2:-1]
    try:
        files = [hf_hub_download(repository, "/".join([*inside, name])) for name in part_names(parts[-1])]
    except _broken() as error:  # what the hub's package raises is one of these
        msg = f"{model} cannot be downloaded: {printable(str(error).strip().partition(chr(10))[0])}"
        raise ModelFileError(msg) from error
    return Path(files[0])


def _broken() -> tuple[type[Exception], ...]:
    """Of broken connections: newer ones of the hub's package ask through httpx, older ones raise an ``OSError``."""
    httpx = sys.modules.get("httpx")
    return (OSError, ValueError) if httpx is None else (OSError, ValueError, httpx.HTTPError)


def _file() -> Path:
    return Path(os.path.realpath(data_folder() / "models.json"))  # a link stays one


def _write(models: dict[str, Path]) -> None:
    file = _file()
    make_folder(file.parent)
    document = {"models": {name: str(path) for name, path in sorted(models.items())}}
    handle, part = tempfile.mkstemp(dir=file.parent, suffix=".part")
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump(document, stream, indent=1)
    Path(part).replace(file)
