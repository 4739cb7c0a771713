#!/bin/bash
# Submit a job array with one participant a task, or two dependent arrays: first the CPU part, then, for
# each participant as soon as it is through the first, the part with the GPU.
#
#   submit.sh [--two-stage] IMAGE BIDS_DIR OUTPUT_DIR WORK_DIR [options of bids-anomaly]
#
# More arguments of sbatch (account, partition, time) come from the environment: SBATCH_ACCOUNT,
# SBATCH_PARTITION and so on as sbatch reads them; GPU_ARGS are those of the GPU array only (default:
# --gres=gpu:1), MAX_TASKS is how many tasks of an array may run at once (default: 100).
set -euo pipefail

two_stage=false
if [ "${1:-}" = --two-stage ]; then
    two_stage=true
    shift
fi
if [ $# -lt 4 ]; then
    sed --quiet '2,/^set/{s/^# \{0,1\}//p}' "$0"
    exit 2
fi
mkdir -p "$3" "$4"
image=$(realpath "$1") bids=$(realpath "$2") out=$(realpath "$3") work=$(realpath "$4")
shift 4
here=$(dirname "$(realpath "$0")")
read -ra gpu_args <<<"${GPU_ARGS:---gres=gpu:1}"

# The list is made now and keeps its name: people who are added later do not shift the numbers.
list=$(mktemp "$work/participants-XXXXXX.txt")
find "$bids" -mindepth 1 -maxdepth 1 -name 'sub-*' -printf '%f\n' | sort >"$list"
chmod a+r "$list"
people=$(wc -l <"$list")
if [ "$people" -eq 0 ]; then
    echo "submit.sh: there is no sub-* folder in $bids." >&2
    exit 66
fi

array=(sbatch --parsable --array="1-$people%${MAX_TASKS:-100}")
job=("$here/participant.sbatch" "$image" "$list" "$bids" "$out" "$work")
if $two_stage; then
    first=$("${array[@]}" "${job[@]}" --stage preprocess --device cpu "$@")
    # aftercorr: a task waits for the one of the same number only, and never runs if that one failed.
    second=$("${array[@]}" --dependency="aftercorr:$first" --kill-on-invalid-dep=yes \
        "${gpu_args[@]}" "${job[@]}" --stage reconstruct --device cuda "$@")
    echo "$people participants: preprocessing in job array $first, the rest in $second."
else
    echo "$people participants in job array $("${array[@]}" "${job[@]}" "$@")."
fi
