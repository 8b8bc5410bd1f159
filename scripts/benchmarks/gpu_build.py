"""What ``gpu_report`` needs on a machine without network: the folder it carries there, and the builds made from it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from time import perf_counter

REPOSITORY = Path(__file__).resolve().parents[2]
# Of llama.cpp's tree, what a library without tools needs.
PARTS = ("CMakeLists.txt", "LICENSE", "cmake", "include", "src", "ggml/CMakeLists.txt", "ggml/cmake", "ggml/include")
BACKENDS = ("ggml-cpu", "ggml-cuda")
# What Python needs beside numpy, which the machine must have, and llama-cpp-python, whose own build is left out.
WHEELS = (
    *(
        "click",
        "click-default-group",
        "diskcache",
        "gguf",
        "jinja2",
        "nanobind",
        "packaging",
        "pathspec",
        "platformdirs",
    ),
    *("pluggy", "python-dateutil", "pyyaml", "scikit-build-core", "six", "sqlite-fts4", "sqlite-utils", "tabulate"),
    *("tqdm", "typing-extensions", "markupsafe", "requests", "urllib3", "idna", "certifi", "charset-normalizer"),
)
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
VOCABULARY = "models/ggml-vocab-llama-spm.gguf"
OPTIONS = {
    "CMAKE_BUILD_TYPE": "Release",
    "BUILD_SHARED_LIBS": "ON",
    "GGML_CUDA": "ON",
    "GGML_CUDA_FA_ALL_QUANTS": "OFF",
    "GGML_CUDA_NCCL": "OFF",
    **{f"LLAMA_BUILD_{part}": "OFF" for part in ("COMMON", "TESTS", "TOOLS", "EXAMPLES", "SERVER", "APP")},
}


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def pack(sdist: Path, traces: list[Path], out: Path, *, python: str, answers: int) -> None:
    """Writes the folder to carry.

    Args:
        sdist: llama-cpp-python's source distribution, unpacked.
        traces: Recorded answers; of ``.eval.jsonl`` files the lines that a run uses.
        out: The folder, new or empty.
        python: Version of the other machine's Python, such as ``"3.12"``.
        answers: Lines kept of each ``.eval.jsonl`` file, evenly spread.
    """
    source = sdist / "vendor" / "llama.cpp"
    for part in PARTS:
        _copy(source / part, out / "llama.cpp" / part)
    for file in (source / "ggml" / "src").iterdir():
        if file.is_file() or file.name in BACKENDS:
            _copy(file, out / "llama.cpp" / "ggml" / "src" / file.name)
    (out / "llama.cpp" / "vendor").mkdir()
    (out / "llama.cpp" / "vendor" / "CMakeLists.txt").write_text("# only tools use what stands here upstream\n")
    shutil.copytree(
        sdist / "llama_cpp", out / "llama_cpp", ignore=shutil.ignore_patterns("lib", "server", "__pycache__")
    )
    _copy(sdist / "PKG-INFO", out / "METADATA")
    _copy(source / VOCABULARY, out / "vocab.gguf")
    (out / "traces").mkdir()
    for path in traces:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        if path.name.endswith(".eval.jsonl"):
            lines = [lines[i * len(lines) // answers] for i in range(min(answers, len(lines)))]
        (out / "traces" / path.name).write_text("".join(lines), encoding="utf-8")
    platforms = [f"--platform={name}" for name in PLATFORMS]
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary=:all:", *platforms]
    subprocess.run([*command, f"--python-version={python}", "-d", str(out / "wheels"), *WHEELS], check=True)
    (out / "commit").write_text(commit() + "\n")
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    say(f"{out}: {size / 1e6:.0f} MB")


def commit() -> str:
    """Of the repository; empty where there is no git."""
    command = ["git", "-C", str(REPOSITORY), "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def build_llama(carried: Path, work: Path, architectures: str, jobs: int) -> tuple[Path, float]:
    """Builds llama.cpp with CUDA; returns the folder of its libraries and the seconds it took.

    Raises:
        SystemExit: It did not build; the end of the log is shown.
    """
    started = perf_counter()
    options = {**OPTIONS, "CMAKE_CUDA_ARCHITECTURES": architectures, **_toolkit(work)}
    defined = [f"-D{name}={value}" for name, value in options.items()]
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    _logged(["cmake", "-S", str(carried / "llama.cpp"), "-B", str(work / "llama"), *generator, *defined], work)
    _logged(["cmake", "--build", str(work / "llama"), "-j", str(jobs), "--target", "llama"], work)
    return work / "llama" / "bin", perf_counter() - started


def _toolkit(work: Path) -> dict[str, str]:
    """CMake options for what the CUDA toolkit lacks: cuBLAS may be a Python wheel, the driver's stub may be missing."""
    nvcc = shutil.which("nvcc")
    toolkit = Path(nvcc).resolve().parent.parent if nvcc else Path("/usr/local/cuda")
    options = {} if any(toolkit.rglob("libcuda.so")) else {"GGML_CUDA_NO_VMM": "ON"}  # links without the driver
    wheels = [path for folder in sys.path for path in sorted(Path(folder).glob("nvidia/*/lib/libcublas.so.*"))]
    if any(toolkit.rglob("libcublas.so")) or not wheels:
        return options
    library = wheels[0]
    light = library.with_name(library.name.replace("cublas", "cublasLt"))
    ours = work / "cublas"  # its headers alone: the folder may hold another version's runtime beside them
    ours.mkdir(parents=True, exist_ok=True)
    for header in library.parent.with_name("include").glob("cublas*.h"):
        shutil.copy(header, ours)
    options |= {"CUDA_cublas_LIBRARY": str(library), "CUDA_cublasLt_LIBRARY": str(light)}
    return options | {"CMAKE_CUDA_FLAGS": f"-I{ours}", "CMAKE_CXX_FLAGS": f"-I{ours}"}


def install_wheels(carried: Path, work: Path) -> Path:
    """A folder for PYTHONPATH with the carried wheels; enough to write models while llama.cpp builds.

    Raises:
        SystemExit: Something did not install; the end of the log is shown.
    """
    site = work / "site"
    site.mkdir(parents=True)
    _logged([*_install(site), *map(str, sorted((carried / "wheels").glob("*.whl")))], work)
    return site


def complete_site(site: Path, carried: Path, work: Path, libraries: Path) -> None:
    """Adds llama_cpp over the libraries built here, and hd_edge built here, or a wheel of it that was carried.

    Raises:
        SystemExit: hd_edge did not build; the end of the log is shown.
    """
    shutil.copytree(carried / "llama_cpp", site / "llama_cpp")
    (site / "llama_cpp" / "lib").symlink_to(libraries.resolve())
    lines = (carried / "METADATA").read_text(encoding="utf-8").splitlines()
    version = next(line.split()[1] for line in lines if line.startswith("Version"))
    _copy(carried / "METADATA", site / f"llama_cpp_python-{version}.dist-info" / "METADATA")
    ready = [str(path) for path in carried.glob("hd_edge-*.whl")]
    build = ["--no-build-isolation", f"-Cbuild-dir={work / 'hd_edge'}", str(REPOSITORY)]
    _logged([*_install(site), *(ready or build)], work, {"PYTHONPATH": str(site)})


def _install(site: Path) -> list[str]:
    return [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--target", str(site)]


def graphics_card() -> str:
    """Name, memory and driver of the first NVIDIA GPU; empty if there is none."""
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        lines = subprocess.run(query, capture_output=True, text=True, check=False).stdout.splitlines()
    except OSError:
        return ""
    return lines[0].strip() if lines else ""


def write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy(source, target)


def _logged(command: list[str], work: Path, environment: dict[str, str] | None = None) -> None:
    """Runs a command with its output in ``build.log``; shows the end of it if the command fails."""
    work.mkdir(parents=True, exist_ok=True)
    log = work / "build.log"
    with log.open("ab") as file:
        file.write((" ".join(command) + "\n").encode())
        file.flush()
        made = subprocess.run(
            command, stdout=file, stderr=subprocess.STDOUT, check=False, env={**os.environ, **(environment or {})}
        )
    if made.returncode:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-40:])
        raise SystemExit(f"{tail}\n{command[0]} ended with {made.returncode}; the whole log is {log}")
