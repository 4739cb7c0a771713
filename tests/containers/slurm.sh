# A SLURM of one node on the loopback address, run by whoever calls this: no root, nothing outside a folder.
# shellcheck shell=bash

# start_slurm FOLDER: start it, and set what its commands read.
start_slurm() {
    local folder=$1
    export SLURM_CONF=$folder/slurm.conf
    mkdir -p "$folder"/{state,spool}
    dd if=/dev/urandom of="$folder/munge.key" bs=1024 count=1 status=none
    chmod 400 "$folder/munge.key"
    cat >"$SLURM_CONF" <<END
ClusterName=loopback
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
SlurmctldPort=26817
SlurmdPort=26818
AuthType=auth/munge
AuthInfo=socket=$folder/munge.socket
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=2,batch_sched_delay=1,kill_invalid_depend
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
MailProg=/bin/true
MinJobAge=36000
GresTypes=gpu
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$SLURM_TEST_CPUS RealMemory=$SLURM_TEST_MB Gres=gpu:1
PartitionName=test Nodes=ALL Default=YES
END
    # A GPU for the scheduler to give away; there is none behind it.
    echo "Name=gpu File=/dev/null" >"$folder/gres.conf"
    munged --force --key-file="$folder/munge.key" --socket="$folder/munge.socket" \
        --pid-file="$folder/munged.pid" --log-file="$folder/munged.log" \
        --seed-file="$folder/munged.seed"
    slurmctld
    slurmd
    for _ in $(seq 30); do
        [ "$(sinfo --noheader --format %t 2>/dev/null)" = idle ] && return
        sleep 1
    done
    sinfo
    tail -n 5 "$folder"/slurm*.log
    return 1
}

# stop_slurm FOLDER: end what start_slurm started, and nothing else.
stop_slurm() {
    local name
    for name in slurmd slurmctld munged; do
        [ -f "$1/$name.pid" ] && kill "$(cat "$1/$name.pid")" 2>/dev/null
    done
}

# wait_for_jobs SECONDS: until no job is left.
wait_for_jobs() {
    local end=$((SECONDS + $1))
    while [ -n "$(squeue --noheader)" ]; do
        if [ $SECONDS -gt $end ]; then
            squeue
            return 1
        fi
        sleep 3
    done
}

# outcomes ARRAY: how each task of an array ended, in order, such as "COMPLETED:0 FAILED:65".
outcomes() {
    scontrol --oneliner show job "$1" \
        | sed -E 's/.* ArrayTaskId=([0-9]+) .* JobState=([A-Z]+) .* ExitCode=([0-9]+):.*/\1 \2:\3/' \
        | sort --numeric-sort | cut --delimiter=' ' --fields=2 | xargs
}
