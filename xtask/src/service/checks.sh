# Runs in the guest, as root, under systemd: what is done to the package and its service, and what was seen then. Judges nothing.
#
# "fact NAME VALUE" is a line, "begin NAME" to "end NAME" a text. Waits end with their condition; their bounds are only there so
# that a guest in which it never comes true ends too.

fact() { echo "fact $*"; }
text() { echo "begin $1"; cat; echo "end $1"; }
step() { echo "step $1 after $(cut -d. -f1 /proc/uptime) s"; }

# within SECONDS COMMAND...: yes or no.
within() {
    left=$1
    shift
    while ! "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || { echo no; return 1; }
        sleep 1
    done
    echo yes
}

get() { curl -fsS --max-time 30 "http://127.0.0.1:10942$1"; }
show() { systemctl show -p "$1" --value mmscope; }
# The value of a metric without labels.
value() { get /metrics | sed -n "s/^$1 //p"; }
is_value() { [ "$(value "$1")" = "$2" ]; }
is_active() { [ "$(systemctl is-active mmscope)" = active ]; }
logged() { journalctl -u mmscope -o cat --no-pager | grep -qF -- "$1"; }
# Programs by which anything is traced; nothing else here has any. Of those that do nothing there may be one, or none.
programs() { bpftool prog show 2>/dev/null | grep -E '^[0-9]+: (tracing|raw_tracepoint) ' | grep -cv 'name canary_'; }
is_another() { new=$(show MainPID); [ "$new" != 0 ] && [ "$new" != "$1" ] && is_active && get /metrics; }
is_looked_at() { [ -n "$(value mmscope_overhead_ratio)" ]; }

# Each thread of each process of the service: process, name, and its lines about rights.
rights() {
    for pid in $(cat /sys/fs/cgroup/system.slice/mmscope.service/cgroup.procs); do
        for task in /proc/"$pid"/task/*; do
            awk -v pid="$pid" -v main="$(show MainPID)" '
                /^(Name|Uid|CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):/ { sub(":", "="); line = line " " $1 $2 }
                END { print (pid == main ? "mmscope" : "helper") line }' "$task/status"
        done
    done
}

step install
dpkg -i /srv/first.deb >/tmp/install 2>&1
fact install_code $?
text install </tmp/install
fact active "$(systemctl is-active mmscope)"
fact enabled "$(systemctl is-enabled mmscope)"
fact socket_enabled "$(systemctl is-enabled mmscope-web.socket)"
fact user "$(getent passwd mmscope)"
fact type "$(show Type)"
fact measured "$(within 180 is_looked_at)"
fact status "$(show StatusText)"
get /metrics | text metrics
fact ready "$(get /-/ready | head -1)"
fact memory "$(show MemoryCurrent)"

step rights
rights | text rights
systemd-analyze security mmscope --no-pager | sed -n 's/.*exposure level for mmscope.service: \([0-9.]*\).*/fact exposure \1/p'

step reload
config=/etc/mmscope/mmscope.toml
{
    echo 'subjects = 77'
    echo 'overhead_budget = "90%"'
    sed 's/^\[anomaly\]$/&\nraise_looks = 1\nlock_convoy_hold = "50ms"\nlock_convoy_lost = "0ms"/' $config
    printf '[record]\nhold = "1ms"\n'
} >/tmp/mmscope.toml
cat /tmp/mmscope.toml >$config
before=$(value mmscope_config_last_reload_success_timestamp_seconds)
is_newer() { [ "$(value mmscope_config_last_reload_success_timestamp_seconds)" != "$before" ]; }
systemctl reload mmscope
fact reload_code $?
fact reload_newer "$(within 180 is_newer)"
fact reload_good "$(value mmscope_config_last_reload_successful)"
fact reload_budget "$(within 180 is_value mmscope_overhead_budget_ratio 0.9)"
journalctl -u mmscope -o cat --no-pager | grep -E 'configuration read again|keep their values' | text reload_log

step bad-reload
before=$(value mmscope_config_last_reload_success_timestamp_seconds)
sed -i '1s/^/tik = 1\n/' $config
systemctl kill --kill-who=main -s HUP mmscope
fact bad_told "$(within 180 is_value mmscope_config_last_reload_successful 0)"
fact bad_kept "$( [ "$(value mmscope_config_last_reload_success_timestamp_seconds)" = "$before" ] && echo yes || echo no)"
journalctl -u mmscope -o cat --no-pager | grep -F 'not read again' | text bad_log
fact bad_active "$(systemctl is-active mmscope)"
cat /tmp/mmscope.toml >$config
systemctl reload mmscope
fact good_again "$(within 180 is_value mmscope_config_last_reload_successful 1)"

if [ "$LONG" = yes ]; then
    step stop-file
    touch /run/mmscope.stop
    fact stop_level "$(within 180 is_value mmscope_governor_level 5)"
    bpftool link show 2>/dev/null | grep -cE '^[0-9]+: (tracing|raw_tracepoint) ' | sed 's/^/fact stop_links /'
    rm /run/mmscope.stop
    fact stop_over "$(within 180 is_value mmscope_governor_level 0)"
    rights | text rights_again
fi

step kill
# The watchdog's time is short from here on, so that nobody has to wait for it.
mkdir -p /run/systemd/system/mmscope.service.d
printf '[Service]\nWatchdogSec=20s\nTimeoutAbortSec=1s\nRestartSec=1s\n' >/run/systemd/system/mmscope.service.d/test.conf
systemctl daemon-reload
pid=$(show MainPID)
fact kill_programs_before "$(programs)"
kill -9 "$pid"
fact kill_restarted "$(within 180 is_another "$pid")"
fact kill_restarts "$(show NRestarts)"
fact kill_programs_after "$(programs)"
fact kill_processes "$(wc -l </sys/fs/cgroup/system.slice/mmscope.service/cgroup.procs)"

step alert
# By a bound that is read again, which this start's record of holds allows; its stacks have names by the table that systemd has
# opened.
sed -i 's/^lock_convoy_hold = "50ms"$/lock_convoy_hold = "2ms"/' $config
systemctl reload mmscope
fact bound_lowered "$(within 180 logged 'changed="anomaly.lock_convoy_hold"')"
while :; do mmload lock-hold --writers 2 --readers 2 --seconds 2 --pages 4096 --write-op munmap; done >/dev/null 2>&1 &
load=$!
evidence() { journalctl -u mmscope -o cat --no-pager --output-fields=MMSCOPE_EVIDENCE MMSCOPE_CLASS=lock_convoy; }
is_evident() { evidence | grep -q '+0x'; }
fact alert "$(within 90 is_evident)"
kill $load
evidence | tail -20 | text evidence
journalctl -u mmscope -o cat --no-pager MMSCOPE_CLASS=lock_convoy | tail -3 | text alerts

step wedge
pid=$(show MainPID)
kill -STOP "$pid"
fact wedge_restarted "$(within 180 is_another "$pid")"
fact wedge_watchdog "$(within 1 logged 'Watchdog timeout')"
fact wedge_programs "$(programs)"

step upgrade
pid=$(show MainPID)
dpkg -i /srv/second.deb >/tmp/upgrade 2>&1
fact upgrade_code $?
text upgrade </tmp/upgrade
fact upgrade_version "$(dpkg-query -W -f '${Version}' mmscope)"
fact upgrade_restarted "$(within 180 is_another "$pid")"
fact upgrade_kept "$(head -1 $config)"

step journal
journalctl -u mmscope -o cat --no-pager | grep -E ' (WARN|ERROR) |panick' | text complaints
journalctl -u mmscope -o cat --no-pager _PID=1 | text manager
journalctl -o cat --no-pager -p warning _TRANSPORT=kernel | grep -iE 'bpf|seccomp|audit' | text kernel

if [ "$LONG" = yes ]; then
    step socket
    systemctl stop mmscope
    fact socket_stopped_programs "$(programs)"
    systemctl start mmscope-web.socket
    fact socket_got "$(get /-/healthy)"
    fact socket_active "$(within 180 is_active)"
    systemctl stop mmscope-web.socket

    step remove
    dpkg --remove mmscope >/tmp/remove 2>&1
    fact remove_code $?
    fact remove_active "$(systemctl is-active mmscope)"
    fact remove_config "$( [ -e $config ] && echo kept || echo gone)"
fi

step purge
rm -r /run/systemd/system/mmscope.service.d
dpkg --purge mmscope >/tmp/purge 2>&1
fact purge_code $?
text purge </tmp/purge
fact purge_programs "$(programs)"
systemctl daemon-reload
find / -xdev \( -path /proc -o -path /sys -o -path /root -o -path /tmp \) -prune -o -name '*mmscope*' -print | text purge_left
fact purge_unit "$(show LoadState)"
fact purge_user "$(getent passwd mmscope | cut -d: -f1)"
fact purge_failed "$(systemctl list-units --failed --no-legend --plain | grep -c mmscope)"
step end
