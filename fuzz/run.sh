#!/usr/bin/env bash
# Runs each fuzz target for a while: fuzz/run.sh [SECONDS] [TARGET ...]. Sixty seconds and all targets,
# if nothing else is said. What is found stays in fuzz/artifacts/, what was tried in fuzz/corpus/.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(lines control_lines journal settings latency_files)

if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "fuzz/run.sh needs cargo-fuzz: cargo install --locked cargo-fuzz" >&2
    exit 1
fi
# Sanitizers are flags of nightly; a stable compiler takes them too where it is told so.
if rustc +nightly --version >/dev/null 2>&1; then
    fuzz=(cargo +nightly fuzz)
else
    echo "no nightly toolchain (rustup toolchain install nightly): without the address sanitizer" >&2
    export RUSTC_BOOTSTRAP=1
    fuzz=(cargo fuzz)
    options=(--sanitizer none)
fi

# The versions are those of the engine; what only fuzzing needs is added.
cp Cargo.lock fuzz/Cargo.lock
failed=()
for target in "${targets[@]}"; do
    "${fuzz[@]}" build ${options[@]+"${options[@]}"} "$target"
    mkdir -p "fuzz/corpus/$target"
    echo "== $target, for $seconds s"
    "${fuzz[@]}" run ${options[@]+"${options[@]}"} "$target" \
        "fuzz/corpus/$target" "fuzz/seeds/$target" -- \
        -max_total_time="$seconds" -max_len=8192 -timeout=20 -rss_limit_mb=2048 \
        -malloc_limit_mb=512 -print_final_stats=1 || failed+=("$target")
done
if [ ${#failed[@]} -gt 0 ]; then
    echo "found something in: ${failed[*]}; see fuzz/artifacts/. Once it is mended, the input goes to" \
        "fuzz/seeds/TARGET/ under a name that says what it is." >&2
    exit 1
fi
