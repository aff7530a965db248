# Lanes of steps that run at once; `.ci/run` and `.ci/soak` source it, with RUN as their name. Each lane
# has a process group of its own, so that nothing it started outlives it.
set -m

readonly STATE="$CARGO_TARGET_DIR/$RUN"
rm -rf "$STATE"
mkdir -p "$STATE/logs" "$STATE/reached" "$STATE/tmp"
# Ended steps: lane, seconds, state and title, separated by tabs.
touch "$STATE/steps"
# What a killed server or test leaves goes with the gate.
export TMPDIR="$STATE/tmp"

# Those that run, and the process groups of all that were started.
lanes=()
groups=()

# Runs a command; what it prints goes to a file of its own, and is shown when the command fails.
step() {
    title="$1"
    begun="$SECONDS"
    shift
    printf '%4d s  %s: %s\n' "$SECONDS" "$lane" "$title"
    printf '%s\t%s\n' "$SECONDS" "$title" >"$STATE/current $lane"
    "$@" >"$STATE/logs/$title" 2>&1
    ended "ok"
}

ended() {
    rm -f "$STATE/current $lane"
    printf '%s\t%s\t%s\t%s\n' "$lane" "$((SECONDS - begun))" "$1" "$title" >>"$STATE/steps"
}

# For another lane's `wait_for`.
reached() {
    touch "$STATE/reached/$1"
}

wait_for() {
    until [[ -e "$STATE/reached/$1" ]]; do
        sleep 1
    done
}

# Starts the lane of this name: a function of steps.
lane() {
    (
        lane="$1"
        title="start"
        begun="$SECONDS"
        trap 'code=$?; ((code == 0)) || show "$code"' EXIT
        "$lane"
    ) </dev/null &
    lanes+=("$!")
    groups+=("$!")
}

# What the failed step printed, each line behind the step's name.
show() {
    echo
    sed "s/^/$title | /" "$STATE/logs/$title" || true
    echo
    echo "step failed with exit code $1: $title"
    ended "failed"
}

# Waits until every lane has ended well. The first that has not ends the gate.
all_lanes() {
    local ended code
    while ((${#lanes[@]} > 0)); do
        code=0
        wait -n -p ended "${lanes[@]}" || code=$?
        if ((code > 128)); then
            echo "a lane was ended by signal $((code - 128))"
        fi
        if ((code != 0)); then
            exit "$code"
        fi
        local left=() lane
        for lane in "${lanes[@]}"; do
            if [[ "$lane" != "$ended" ]]; then
                left+=("$lane")
            fi
        done
        lanes=("${left[@]}")
    done
}

# A server that shuts down in good order may take longer than anybody wants to wait.
stop_lanes() {
    local signal
    for signal in TERM KILL; do
        for _ in {1..10}; do
            send "$signal" || return 0
            sleep 0.3
        done
    done
}

# Whether anything is left that the signal could be sent to.
send() {
    local group found=1
    for group in "${groups[@]}"; do
        kill "-$1" -- "-$group" 2>/dev/null && found=0
    done
    return "$found"
}

# A lane that was killed had no chance to tell its step.
note_unended_steps() {
    local current lane start title
    for current in "$STATE"/current\ *; do
        if [[ -e "$current" ]]; then
            lane="${current##*/current }"
            IFS=$'\t' read -r start title <"$current"
            printf '%s\t%s\t%s\t%s\n' "$lane" "$((SECONDS - start))" "stopped" "$title" >>"$STATE/steps"
        fi
    done
}

finish() {
    local code="$1"
    trap '' INT TERM
    stop_lanes 2>/dev/null
    note_unended_steps
    echo
    printf '%8s  %-7s  %-18s  %s\n' seconds state lane step
    awk -F '\t' '{ printf "%8d  %-7s  %-18s  %s\n", $2, $3, $1, $4 }' "$STATE/steps"
    printf '%8d  in all\n' "$SECONDS"
    if ((SECONDS > ${SLOW_SECONDS:-SECONDS})); then
        echo "warning: the $RUN took more than $((SLOW_SECONDS / 60)) minutes; see where in the table"
    fi
    rm -rf "$STATE/tmp"
    echo
    if ((code == 0)); then
        echo "$RUN passed"
    else
        echo "$RUN failed: $(awk -F '\t' '$3 != "ok" { printf "%s%s (%s)", separator, $4, $3; separator = ", " }' "$STATE/steps")"
    fi
}

trap 'finish "$?"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
