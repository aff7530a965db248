# Shortcuts. The gate is `.ci/run`.

# Format and lints
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings

# All tests
test:
    cargo test --workspace

# The documentation, warnings refused
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Which module may use which
arrows:
    cargo test -p envelope --test arrows

# The published test vectors
vectors:
    cargo test -p envelope --test vectors

# One fuzz target, until it is stopped or finds something
fuzz target="message":
    RUSTC_BOOTSTRAP=1 cargo fuzz run --fuzz-dir fuzz {{target}}

# What takes too long for the gate, so many seconds each: all of it, or the steps that are named
soak seconds *steps:
    .ci/soak {{seconds}} {{steps}}

# Benchmarks, next to the bare cipher
bench:
    cargo bench -p benches
