# Sourced by scripts/demo and scripts/test: makes .venv and installs into it, and says in one line what is missing.
# Usage: setup EXTRAS GROUP...   (sets $python to the environment's interpreter)

say() { printf '%s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

find_python() {
    local name
    for name in python3.13 python3.12 python3.11 python3.10 python3 python; do
        if command -v "$name" >/dev/null && "$name" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            printf '%s' "$name"
            return
        fi
    done
    die "Missing: Python 3.10 or later (found: $(python3 --version 2>/dev/null || echo none))."
}

# Runs a command that may build llama.cpp, with a line every half minute; its output is shown if it fails.
patiently() {
    local log started status=0 worker
    log=$(mktemp)
    started=$SECONDS
    "$@" >"$log" 2>&1 &
    worker=$!
    while kill -0 $worker 2>/dev/null; do
        sleep 1
        if (((SECONDS - started) % 30 == 29)); then
            say "  still building llama.cpp: $(((SECONDS - started + 1) / 60)) min $(((SECONDS - started + 1) % 60)) s (about 4 minutes on 2 cores, once)"
            sleep 1
        fi
    done
    wait $worker || status=$?
    ((status == 0)) || cat "$log" >&2
    rm -f "$log"
    return $status
}

setup() {
    local extras=$1 group stamp wanted
    shift
    local -a groups=()
    for group in "$@"; do groups+=(--group "$group"); done
    python=.venv/bin/python
    stamp=.venv/hd_edge.stamp
    # What the installation depends on: the build files, the native sources, and what was asked for.
    wanted=$(cat pyproject.toml CMakeLists.txt $(find native -name '*.[ch]pp' | sort) <(echo "$extras" "$@") | cksum)
    [ -x $python ] && [ "$(cat $stamp 2>/dev/null)" = "$wanted" ] && return

    if [ ! -x $python ]; then
        local base
        base=$(find_python)
        command -v c++ >/dev/null || command -v g++ >/dev/null || command -v clang++ >/dev/null ||
            die "Missing: a C++ compiler (Debian: apt install g++; macOS: xcode-select --install)."
        say "Making .venv with $($base --version) ..."
        "$base" -m venv .venv || die "Missing: Python's venv module (Debian: apt install python3-venv)."
    fi
    $python -m pip install -q --upgrade pip || die "pip cannot reach the package index."
    if ! $python -c 'import llama_cpp' 2>/dev/null; then
        say "Installing llama-cpp-python; unless it is in pip's cache, this builds llama.cpp ..."
        patiently $python -m pip install "$(grep -o 'llama-cpp-python>=[^"]*' pyproject.toml | head -1)" ||
            die "llama-cpp-python did not build; its output stands above."
    fi
    say "Installing hd_edge ..."
    $python -m pip install -q -e ".[$extras]" "${groups[@]}" || die "hd_edge did not build; the output stands above."
    echo "$wanted" >$stamp
}
