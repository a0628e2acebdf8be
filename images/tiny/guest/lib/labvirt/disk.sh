# SPDX-License-Identifier: MIT
# To be sourced. What this guest keeps on its disk, without a file system: up to 64 KiB of lines "NAME TEXT" from 32 MiB on,
# after a line that says what they are. DISK is the disk, empty when there is none (yet).
MAGIC=LABVIRT-KEPT-1
DISK=
for disk in /dev/vda /dev/sda; do
    [ -b $disk ] && DISK=$disk && break
done

# The records as lines; nothing when there are none.
kept_lines() {
    [ -n "$DISK" ] || return 0
    # Zeroes end it. The shell drops what no text holds.
    dd if="$DISK" bs=64k skip=512 count=1 2>/dev/null | tr -d '\000' | {
        read -r magic && [ "$magic" = "$MAGIC" ] || exit 0
        exec cat
    }
}

# What may be in a name and in a text: they end in JSON and on the screen.
name_of() { printf %s "$1" | tr -cd 'A-Za-z0-9_-' | head -c 32; }
text_of() { printf %s "$1" | tr -cd ' -!#-[]-~' | head -c 60; }

# Keeps $2 under the name $1: on the disk when this returns 0, and last in its order.
keep() {
    [ -n "$DISK" ] && [ -n "$1" ] || return 1
    {
        echo "$MAGIC"
        kept_lines | grep -v "^$1 "
        echo "$1 $2"
    } > /tmp/kept.new
    [ "$(stat -c %s /tmp/kept.new)" -le 65536 ] || return 1
    # 64 KiB of it in any case: what was there before must not show behind a shorter list.
    { cat /tmp/kept.new; head -c 65536 /dev/zero; } | head -c 65536 > /tmp/kept.block
    dd if=/tmp/kept.block of="$DISK" bs=64k seek=512 conv=notrunc,fsync 2>/dev/null || return 1
    note_kept
}

# The records as everybody else reads them: /run/kept.
note_kept() {
    kept_lines > /run/kept.new
    mv /run/kept.new /run/kept
    echo paint 1<>/run/wake-screen
}
