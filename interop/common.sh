# What the scripts in this folder and the gate share; each of them sources it. Everything goes below the
# target directory.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
mkdir -p "${CARGO_TARGET_DIR:=target}"
CARGO_TARGET_DIR="$(cd "$CARGO_TARGET_DIR" && pwd)"
export CARGO_TARGET_DIR

need() {
    local program
    for program in "$@"; do
        if ! command -v "$program" >/dev/null; then
            echo "$program is missing; install it and run this again" >&2
            return 1
        fi
    done
}

# An environment of Python with exactly these packages, unless it is there already. The copy of the list
# is made last, so that a broken installation is done again.
python_packages() {
    local folder="$1" list="$2"
    if ! cmp --silent "$list" "$folder/installed.txt"; then
        python3 -m venv --clear "$folder"
        "$folder/bin/pip" install --quiet --disable-pip-version-check -r "$list"
        cp "$list" "$folder/installed.txt"
    fi
}

# As above, the packages of a lockfile of npm.
node_packages() {
    local folder="$1" list="$2"
    if ! cmp --silent "$list/package-lock.json" "$folder/installed.json"; then
        mkdir -p "$folder"
        cp "$list/package.json" "$list/package-lock.json" "$folder/"
        (cd "$folder" && npm ci --silent --no-fund --no-audit)
        cp "$list/package-lock.json" "$folder/installed.json"
    fi
}

# Every program that the scripts run, built once for all of them. The whole workspace is named, and a test
# with it, so that dependencies get the features that `cargo test --workspace` gives them, and are not
# built a second time. INTEROP_BUILT says that this was done.
build() {
    if [[ -z "${INTEROP_BUILT:-}" ]]; then
        cargo build --locked --workspace --bins --test arrows
    fi
}

# Ends the script after its installation, where the first argument asks for that.
end_if_only_installing() {
    if [[ "${1:-}" == "--install" ]]; then
        exit 0
    fi
}
