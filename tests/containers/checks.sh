# Shared by the tests beside it: say what is missing, count what was checked, end with the sum.
# shellcheck shell=bash

passed=0
failed=0
missing=0

# need COMMAND HINT: note a command that this test cannot do without.
need() {
    command -v "$1" >/dev/null && return
    echo "missing: $1 ($2)"
    missing=$((missing + 1))
}

# Stop if anything was missing: a test that leaves out a part would look like one that passed.
stop_if_missing() {
    [ "$missing" -eq 0 ] && return
    echo "Nothing was tested. Install what is missing, then start again."
    exit 1
}

# check SENTENCE COMMAND...: the sentence is true if the command succeeds; what it printed is shown if not.
check() {
    local sentence=$1 printed
    shift
    if printed=$("$@" 2>&1); then
        echo "ok      $sentence"
        passed=$((passed + 1))
    else
        echo "FAILED  $sentence"
        printf '%s\n' "$printed" | tail -n 25 | sed 's/^/        /'
        failed=$((failed + 1))
    fi
}

# exits CODE COMMAND...: the command ends with this exit code.
exits() {
    local expected=$1 code=0
    shift
    "$@" || code=$?
    echo "exit code $code, expected $expected"
    [ "$code" -eq "$expected" ]
}

# says PATTERN COMMAND...: the command prints this somewhere, whatever its exit code.
says() {
    local pattern=$1 printed
    shift
    printed=$("$@" 2>&1)
    printf '%s\n' "$printed"
    grep --quiet --extended-regexp -- "$pattern" <<<"$printed"
}

# prints_nothing COMMAND...: it succeeds, and has nothing to tell.
prints_nothing() {
    local printed
    printed=$("$@" 2>&1) || { echo "$printed"; return 1; }
    echo "$printed"
    [ -z "$printed" ]
}

# Print the sum, and fail if a check did.
conclude() {
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
}
