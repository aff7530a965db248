# The tools of the gate and the soak lane, and where they go; `.ci/run` and `.ci/soak` source it.
source interop/common.sh

readonly CARGO_DENY_VERSION=0.20.2
readonly CARGO_FUZZ_VERSION=0.13.2
readonly FUZZ_TARGETS=(header message context keyring_file s3_metadata instruction_file)

export PATH="$CARGO_TARGET_DIR/tools/bin:$PATH"
export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-never}"
# Nothing is built here twice with a change between.
export CARGO_INCREMENTAL=0

install_cargo_deny() {
    tool cargo-deny "$CARGO_DENY_VERSION"
}

install_cargo_fuzz() {
    tool cargo-fuzz "$CARGO_FUZZ_VERSION"
}

# A tool of exactly this version, unless it is there already. It runs for seconds, so optimising it would
# not pay.
tool() {
    local name="$1" version="$2" found
    found="$("$name" --version 2>/dev/null || true)"
    if [[ "$found" != "$name $version" ]]; then
        CARGO_PROFILE_DEV_DEBUG=false cargo install --locked --debug --version "$version" "$name" \
            --root "$CARGO_TARGET_DIR/tools" --target-dir "$CARGO_TARGET_DIR/tools/build" --force
    fi
    "$name" --version
}

# The sanitizer needs unstable compiler flags; RUSTC_BOOTSTRAP allows them on the stable toolchain.
fuzz_build() {
    RUSTC_BOOTSTRAP=1 cargo-fuzz build --fuzz-dir fuzz --target-dir "$CARGO_TARGET_DIR/fuzz"
}

# One target for so many seconds.
fuzz() {
    RUSTC_BOOTSTRAP=1 cargo-fuzz run --fuzz-dir fuzz --target-dir "$CARGO_TARGET_DIR/fuzz" "$1" \
        -- -max_total_time="$2"
}
