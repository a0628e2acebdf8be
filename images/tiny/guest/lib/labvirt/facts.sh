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
first_line /sys/class/dmi/id/product_serial; SERIAL=$LINE
first_line /sys/class/dmi/id/product_uuid; UUID=$LINE

facts_json() {
    read -r uptime _ < /proc/uptime
    first_line /proc/sys/kernel/random/boot_id
    printf '{"name":"%s","mac":"%s","address":"%s","serial":"%s","uuid":"%s","uptime":%s,"boot_id":"%s","random":"%s"}\n' \
        "$NAME" "$MAC" "$ADDRESS" "$SERIAL" "$UUID" "$uptime" "$LINE" \
        "$(hexdump -n 16 -e '16/1 "%02x"' /dev/urandom)"
}
