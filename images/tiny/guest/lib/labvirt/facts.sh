# SPDX-License-Identifier: MIT
# To be sourced. What this guest knows about itself, read anew: NAME MAC ADDRESS SERIAL UUID, and facts_json.
first_line() {
    LINE=
    [ -r "$1" ] && read -r LINE 2>/dev/null < "$1"
    # These end in JSON strings: quotes and backslashes would break them.
    LINE=${LINE//[\"\\]/}
}
first_line /proc/sys/kernel/hostname; NAME=$LINE
first_line /sys/class/net/eth0/address; MAC=$LINE
first_line /run/lease; ADDRESS=$LINE
# SMBIOS; an instant clone has read its template's.
first_line /sys/class/dmi/id/product_serial; SERIAL=$LINE
first_line /sys/class/dmi/id/product_uuid; UUID=$LINE

# What was kept last: KEPT is its name and text; KEPT_JSON is all of it, in the order in which it was kept.
kept_facts() {
    KEPT= KEPT_JSON=
    [ -r /run/kept ] || return 0
    while read -r name text; do
        KEPT="$name: $text" KEPT_JSON="$KEPT_JSON,\"$name\":\"$text\""
    done < /run/kept
    KEPT_JSON=${KEPT_JSON#,}
}

facts_json() {
    kept_facts
    disk=false
    [ -e /run/kept ] && disk=true
    read -r uptime _ < /proc/uptime
    first_line /run/machine-id; machine=$LINE
    first_line /run/labvirt/run; run=$LINE
    first_line /proc/sys/kernel/random/boot_id
    # Its number among QEMU's machines: 16 bytes from the 40th on (QEMU: docs/specs/vmgenid).
    generation=$(dd if=/sys/firmware/qemu_fw_cfg/by_name/etc/vmgenid_guid/raw bs=8 skip=5 count=2 2>/dev/null | hexdump -e '16/1 "%02x"')
    random=$(hexdump -n 32 -e '32/1 "%02x"' /dev/urandom)
    printf '{"name":"%s","mac":"%s","address":"%s","serial":"%s","uuid":"%s","uptime":%s,"boot_id":"%s","random":"%s","disk":%s,"kept":{%s},' \
        "$NAME" "$MAC" "$ADDRESS" "$SERIAL" "$UUID" "$uptime" "$LINE" "$random" "$disk" "$KEPT_JSON"
    # The clock last: who asks compares it with the moment of the answer.
    set -- $(adjtimex | sed -n 's/.*tv_u*sec: *//p')
    printf '"run":"%s","machine_id":"%s","vmgenid":"%s","clock":%d.%06d}\n' "$run" "$machine" "$generation" "$1" "$2"
}
