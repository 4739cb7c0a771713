#!/bin/bash
# Submit a job array with one participant a task, or two dependent arrays: first the CPU part, then, for
# each participant as soon as it is through the first, the part with the GPU.
#
#   submit.sh [--two-stage] IMAGE BIDS_DIR OUTPUT_DIR WORK_DIR [options of bids-anomaly]
#
# With --participant-label among the options, the tasks are those of these participants, else of all; with
# --exclude-participant-label, of these less those.
#
# More arguments of sbatch (account, partition, time) come from the environment: SBATCH_ACCOUNT,
# SBATCH_PARTITION and so on as sbatch reads them; GPU_ARGS are those of the GPU array only (default:
# --gres=gpu:1), MAX_TASKS is how many tasks of an array may run at once (default: 100).
set -euo pipefail

# refuse CODE SENTENCE: the codes are those of bids-anomaly.
refuse() {
    echo "submit.sh: $2" >&2
    exit "$1"
}

two_stage=false
if [ "${1:-}" = --two-stage ]; then
    two_stage=true
    shift
fi
if [ $# -lt 4 ]; then
    sed --quiet '2,/^set/{s/^# \{0,1\}//p}' "$0"
    exit 2
fi
image=$1 bids=$2 out=$3 work=$4
shift 4

# The labels are taken out of the options: in a task they would be added to its own participant.
options=() labels=() excluded=() chosen=false of=options
for argument; do
    name=${argument%%=*}
    case ${name//_/-} in
        --participant-label | --participant-labels) chosen=true of=labels ;;
        --exclude-participant-label | --exclude-participant-labels) of=excluded ;;
        -*) of=options ;;
        *) name= ;;
    esac
    if [ "$of" = options ]; then
        options+=("$argument")
        continue
    fi
    given=$argument
    [ -n "$name" ] && given=${argument:${#name}} given=${given#=}
    # Labels may have commas between them.
    read -ra given <<<"${given//,/ }"
    if [ "$of" = labels ]; then
        labels+=(${given[@]+"${given[@]}"})
    else
        excluded+=(${given[@]+"${given[@]}"})
    fi
done
if $chosen && [ ${#labels[@]} -eq 0 ]; then
    refuse 2 "--participant-label needs a label. Give one or more, or leave it out for all."
fi
# Bash before 4.4 calls an empty array unbound.
set -- ${options[@]+"${options[@]}"}

[ -e "$image" ] || refuse 66 "there is no image $image. Make it with: make bids-anomaly.sif"
[ -d "$bids" ] || refuse 66 "there is no BIDS folder $bids. Check the path."
if $chosen; then
    people=$(printf 'sub-%s\n' "${labels[@]#sub-}" | sort --unique)
else
    people=$(find "$bids/" -mindepth 1 -maxdepth 1 -xtype d -name 'sub-*' -printf '%f\n' | sort)
fi
[ -n "$people" ] || refuse 66 "there is no sub-* folder in $bids. Check that it is a BIDS dataset."
if [ ${#excluded[@]} -gt 0 ]; then
    people=$(printf '%s\n' "$people" | grep --invert-match --line-regexp --fixed-strings \
        --file=<(printf 'sub-%s\n' "${excluded[@]#sub-}")) ||
        refuse 2 "--exclude-participant-label leaves out everybody. Check it."
fi
while read -r person; do
    [ -d "$bids/$person" ] || refuse 18 "there is no $person in $bids. Check its label."
done <<<"$people"
for folder in "$out" "$work"; do
    if [ -e "$folder" ] && [ ! -d "$folder" ]; then
        refuse 73 "$folder is a file, not a folder. Name another one."
    fi
done
command -v sbatch >/dev/null || refuse 69 "there is no sbatch here. Call it where SLURM is installed."

mkdir -p "$out" "$work"
image=$(realpath "$image") bids=$(realpath "$bids") out=$(realpath "$out") work=$(realpath "$work")
here=$(dirname "$(realpath "$0")")
read -ra gpu_args <<<"${GPU_ARGS:---gres=gpu:1}"

# The list is made now and keeps its name: people who are added later do not shift the numbers.
list=$(mktemp "$work/participants-XXXXXX.txt")
echo "$people" >"$list"
chmod a+r "$list"
count=$(wc -l <"$list")

array=(sbatch --parsable --array="1-$count%${MAX_TASKS:-100}")
job=("$here/participant.sbatch" "$image" "$list" "$bids" "$out" "$work")
if $two_stage; then
    first=$("${array[@]}" "${job[@]}" --stage preprocess --device cpu "$@")
    # aftercorr: a task waits for the one of the same number only, and never runs if that one failed.
    second=$("${array[@]}" --dependency="aftercorr:$first" --kill-on-invalid-dep=yes \
        "${gpu_args[@]}" "${job[@]}" --stage reconstruct --device cuda "$@")
    echo "$count participants: preprocessing in job array $first, the rest in $second."
else
    echo "$count participants in job array $("${array[@]}" "${job[@]}" "$@")."
fi
