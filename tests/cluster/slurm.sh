#!/bin/bash
# Runs examples/slurm.sbatch on a real Slurm of one node, which this script starts and stops again.
#
#     sudo tests/cluster/slurm.sh
#
# For a Debian machine or container, as root. It installs slurm-wlm and munge where they are missing.
# Everything else is in a temporary folder: configuration, key, state, logs, ports of its own. A Slurm that is
# set up on the machine is neither read nor changed. hyperfactor is taken from .venv, or else from PATH.
# The last line says what passed; after a failure the folder is kept.
set -euo pipefail

LIMIT=300  # seconds that a job may take
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
DIR=$(mktemp -d)
STARTED=()  # process ids of the daemons
PASSED=()

say() { echo "slurm.sh: $*" >&2; }

stop() {
    local status=$?
    set +e
    if [ ${#STARTED[@]} -gt 1 ] && [ $status -ne 0 ]; then
        scancel --user=root && sleep 10  # jobs of this Slurm alone: SLURM_CONF is its own
    fi
    for ((k = ${#STARTED[@]} - 1; k >= 0; k--)); do
        kill "${STARTED[k]}" && wait "${STARTED[k]}"
    done
    if [ $status -eq 0 ]; then
        rm -rf "$DIR"
        echo "passed: $(printf '%s; ' "${PASSED[@]}")Slurm $VERSION"
    else
        echo "FAILED after: $(printf '%s; ' "${PASSED[@]:-nothing}")see $DIR"
    fi
    exit $status
}

install_slurm() {
    if ! type slurmctld slurmd sbatch munged >/dev/null 2>&1; then
        apt-get update -qq
        DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends slurm-wlm munge >"$DIR/apt.log"
    fi
}

start_slurm() {
    local host
    host=$(hostname -s)
    chmod 711 "$DIR"  # clients of munge go through it
    mkdir "$DIR/munge" "$DIR/state" "$DIR/spool" "$DIR/log"
    chmod 711 "$DIR/munge"
    (umask 077 && head -c 1024 /dev/urandom >"$DIR/munge/key")
    cat >"$DIR/slurm.conf" <<END
ClusterName=hyperfactor
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$DIR/munge/socket
StateSaveLocation=$DIR/state
SlurmdSpoolDir=$DIR/spool
SlurmctldPidFile=$DIR/slurmctld.pid
SlurmdPidFile=$DIR/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
KillWait=5
NodeName=$host NodeAddr=127.0.0.1 CPUs=4 RealMemory=8192
PartitionName=all Nodes=$host Default=YES
END
    export SLURM_CONF="$DIR/slurm.conf"
    munged --foreground --key-file="$DIR/munge/key" --socket="$DIR/munge/socket" --pid-file="$DIR/munge/pid" \
        --seed-file="$DIR/munge/seed" --log-file="$DIR/munge/log" >"$DIR/log/munged" 2>&1 &
    STARTED+=($!)
    within 20 "munged" test -S "$DIR/munge/socket"
    slurmctld -D >"$DIR/log/slurmctld" 2>&1 &
    STARTED+=($!)
    slurmd -D >"$DIR/log/slurmd" 2>&1 &
    STARTED+=($!)
    within 60 "an idle node" is_idle
}

free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

is_idle() { [ "$(sinfo --noheader --format=%t 2>/dev/null)" = idle ]; }

within() {  # SECONDS WHAT COMMAND...: wait until the command succeeds
    local end=$((SECONDS + $1)) what=$2
    shift 2
    until "$@"; do
        if [ $SECONDS -ge $end ]; then
            say "waited in vain for $what"
            exit 1
        fi
        sleep 0.1
    done
}

state() { scontrol --oneliner show job "$1" | grep -o 'JobState=[A-Z_]*' | cut -d= -f2; }

has_ended() { [[ "$(state "$1")" =~ ^(COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL|OUT_OF_MEMORY)$ ]]; }

is_over() { [ -z "$(squeue --noheader)" ] && ! pgrep -f "scheduler-file $DIR/.*scheduler-$1.json" >/dev/null; }

submit() {  # NAME ARGUMENTS...: submit the example from a folder of that name; the job's number
    mkdir -p "$DIR/$1"
    cd "$DIR/$1"
    sbatch --parsable "$ROOT/examples/slurm.sbatch" "${@:2}"
}

completes() {  # JOB NAME RUNS: the job ends well, with so many runs, all whole, and a report
    within $LIMIT "the end of job $1 ($2)" has_ended "$1"
    cd "$DIR/$2"
    [ "$(state "$1")" = COMPLETED ] || fails "$2: job $1 is $(state "$1")"
    local finished
    finished=$(hyperfactor runs list --store hyperfactor-store --columns id --where "state = 'finished'" --format csv | tail -n +2 | wc -l)
    [ "$finished" -eq "$3" ] || fails "$2: $finished finished runs, needs $3"
    hyperfactor runs verify --store hyperfactor-store >verify.log || fails "$2: $(cat verify.log)"
    [ -s hyperfactor-report/report.html ] || fails "$2: no report"
    within 30 "the end of the processes of job $1" is_over "$1"
    say "$2: job $1 COMPLETED, $finished runs, report"
}

fails() {
    say "$*"
    exit 1
}

trainer() {  # NAME: the process id of a worker that trains a run now
    local claim
    while true; do
        for claim in "$DIR/$1"/hyperfactor-store/.claims/*; do
            python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["pid"])' "$claim" 2>/dev/null && return
        done
        sleep 0.02
    done
}

finished_runs() { find "$DIR/$1/hyperfactor-store" -name manifest.json 2>/dev/null | wc -l; }

some_are_finished() { [ "$(finished_runs "$1")" -ge 3 ]; }

trap stop EXIT
trap 'exit 130' INT TERM
[ -x "$ROOT/.venv/bin/hyperfactor" ] && PATH="$ROOT/.venv/bin:$PATH"
type hyperfactor dask >/dev/null 2>&1 || fails "got no hyperfactor and dask, needs .venv (make) or both on PATH"
install_slurm
start_slurm
VERSION=$(sinfo --version | cut -d' ' -f2)

job=$(submit plain)
completes "$job" plain 4
PASSED+=("a job of 4 runs")

job=$(submit worker --seeds 5)
within $LIMIT "runs of job $job" some_are_finished worker
victim=$(trainer worker)
kill -KILL "$victim"
say "worker: killed process $victim, which was training, after $(finished_runs worker) of 20 runs"
completes "$job" worker 20
PASSED+=("a worker process killed while it trained")

job=$(submit task --seeds 5)
within $LIMIT "runs of job $job" some_are_finished task
victim=$(trainer task)
nanny=$(ps -o ppid= -p "$victim" | tr -d ' ')
kill -KILL "$victim" "$nanny"
say "task: killed process $victim and its parent $nanny after $(finished_runs task) of 20 runs"
completes "$job" task 20
PASSED+=("a Slurm task killed for good")

job=$(submit cancelled --seeds 5)
within $LIMIT "runs of job $job" some_are_finished cancelled
scancel "$job"
within 60 "the end of job $job" has_ended "$job"
before=$(finished_runs cancelled)
[ "$(state "$job")" = CANCELLED ] && [ "$before" -lt 20 ] || fails "cancelled: $(state "$job") with $before runs"
say "cancelled: job $job ended after $before of 20 runs"
job=$(submit cancelled --seeds 5)
completes "$job" cancelled 20
PASSED+=("a job cancelled and submitted again")
