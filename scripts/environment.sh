# Sourced by quickstart and test: choose a Python, make .venv, install. Nothing else is touched.
# HIDET_PYTHON: the interpreter to use; HIDET_VENV: another place for the virtual environment.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
venv="${HIDET_VENV:-$root/.venv}"

say() { printf '%s\n' "== $*" >&2; }

fail() {
    printf 'error: %s\n' "$@" >&2
    exit 1
}

# Python 3.11 to 3.13 that can make a virtual environment with pip in it
is_suitable() {
    "$1" -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
        >/dev/null 2>&1
}

choose_python() {
    local candidate
    if [ -n "${HIDET_PYTHON:-}" ]; then
        is_suitable "$HIDET_PYTHON" ||
            fail "HIDET_PYTHON=$HIDET_PYTHON is no Python 3.11, 3.12 or 3.13 with venv and pip"
        printf '%s\n' "$HIDET_PYTHON"
        return
    fi
    for candidate in python3.13 python3.12 python3.11 python3 python; do
        if is_suitable "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    fail "no Python 3.11, 3.12 or 3.13 with venv and pip found (tried python3.13 ... python3)." \
        "Install one (Debian and Ubuntu: apt install python3-venv), or set HIDET_PYTHON."
}

check_compiler() {
    local candidate
    for candidate in "${CXX:-g++}" c++ clang++; do
        command -v "$candidate" >/dev/null 2>&1 && return
    done
    fail "no C++17 compiler found (Debian and Ubuntu: apt install g++), or set CXX."
}

make_venv() {
    local python
    if is_suitable "$venv/bin/python"; then
        return
    fi
    python="$(choose_python)" || exit 1
    say "making $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv" || fail "$python -m venv $venv failed"
}

# install_project [pip options] SPEC, for example: install_project -e '.[test]'
install_project() {
    check_compiler
    make_venv
    say "installing (the first time this builds the C++ part: a minute or two)"
    (cd "$root" && "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@") ||
        fail "pip install $* failed; its own message is above"
}
