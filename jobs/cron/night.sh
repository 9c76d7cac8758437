#!/bin/sh
# The whole night: pages of forms become rows, predictions, whole fields, a review, and a page about
# it all. docs/night.md describes it; pages.crontab has the settings and starts it.
#
# Every entry of INCOMING, a folder or a document, is a delivery. NIGHTS/DELIVERY gets
#   rows.parquet               forms     a row of each character on its pages
#   rows.predictions.parquet   predict   what each character is
#   fields.parquet             fields    whole numbers: accounts, amounts, dates
#   review/index.html          review    the characters in doubt, for a person
#   night.html                 report    how it went
# and NIGHTS/nights.html compares them all. What is done is left alone, so a night that was cut
# short is finished by the next. A good night is silent; every fault is one line on standard error.
set -u

ORDER="1 126 127 134 137 139 130 143 129 70 69 78 74 73 2 66 65 75 3 4 0" # exit codes, worst first
worst=0
child=

finish() { exit "$worst"; }

fail() { # CODE LINE
    echo "night.sh: error: $2" >&2
    exit "$1"
}

# shellcheck disable=SC2317  # traps call it
stop() { # CODE: a signal came; batchdigits ends and removes its temporary files
    [ -z "$child" ] || { kill "$child" 2> /dev/null; wait "$child"; }
    exit "$1"
}
trap 'stop 143' TERM
trap 'stop 129' HUP
trap 'stop 130' INT

step() { # COMMAND ARGUMENT…: true if its outputs are there
    # -P keeps Python from running what somebody delivers as numpy.py.
    "$BATCHDIGITS_PYTHON" -P -m batchdigits "$@" >> "$log" &
    child=$!
    wait "$child"
    code=$?
    child=
    case " $ORDER " in *" $code "*) ;; *) code=137 ;; esac
    for known in $ORDER; do
        case $known in "$code" | "$worst") worst=$known && break ;; esac
    done
    case $code in
        0 | 3 | 4) return 0 ;;               # published; 3 and 4 are for people, in the morning
        69 | 78 | 129 | 130 | 143) finish ;; # the same for every delivery: somebody must mend it
        126 | 127) fail "$code" "$BATCHDIGITS_PYTHON: can't be run; set BATCHDIGITS_PYTHON" ;;
        1[3-9][0-9]) echo "night.sh: error: $delivery: $1 was killed ($code); the next night goes on" >&2 ;;
    esac
    return 1 # this delivery waits for a person or for the next night; the others go on
}

night() { # the steps of one delivery; each reads what the one before it has written
    step forms read "$delivery" --template "$TEMPLATES" --output "$night/rows.parquet" \
        --max-rejects "$MAX_REJECTS" || return
    step predict "$night/rows.parquet" --on-other keep --review-below "$REVIEW_BELOW" \
        --max-rejects "$MAX_REJECTS" --max-drift "$MAX_DRIFT" || return
    step fields "$night/rows.predictions.parquet" --group "$group" --template "$TEMPLATES" \
        --output "$night/fields.parquet" || return
    # Made once: somebody may be at work on it.
    [ -e "$night/review/index.html" ] || step review make "$night/rows.predictions.parquet" \
        --group "$group" --output "$night/review" --allow-empty || return
    step report "$night" --title "$name" --output "$night/night.html"
}

[ -d "$INCOMING" ] || fail 66 "$INCOMING: no such folder; set INCOMING"
mkdir -p "$NIGHTS" "$LOGS" || exit 73
log=$LOGS/night-$(date +%Y-%m).jsonl
exec 9> "$NIGHTS/.lock" || exit 73
flock --nonblock 9 || fail 75 "$NIGHTS: another night is at work; this one leaves it alone"

# Of several templates, the column `template` tells which a page is of.
set -- "$TEMPLATES"/*.json
[ $# -gt 1 ] && group=file,page,template,field || group=file,page,field

done=
for delivery in "$INCOMING"/[!._]*; do
    name=${delivery##*/}
    night=$NIGHTS/$name
    [ -e "$delivery" ] || continue                                 # nothing matches: an empty night
    [ ! -d "$delivery" ] || [ -n "$(ls "$delivery")" ] || continue # an empty day
    mkdir -p "$night" || exit 73
    night
    done=1
done
[ -z "$done" ] || step report "$NIGHTS" --no-digits --title "All nights" --output "$NIGHTS/nights.html"
finish
