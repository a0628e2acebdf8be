# SPDX-License-Identifier: MIT
# A disk of this computer that is empty becomes the place where the kiosk is kept, where the setting keep_on_disk says so. Nobody is asked
# and nothing can be undone, so every doubt is a no, and no other disk is ever opened for writing.
# shellcheck shell=sh disable=SC2034,SC2154

kept_kib=524288 # of the disk are used: the kiosk, and room for a bigger one
zeros=30e14955ebf1352266dc2ff8067e68104607e750abb9d3b36582b8af909fcb58 # sha256 of a MiB of them

own_disks() { # "DEVICE SECTORS" of each built-in disk that is big enough, can be written, and of which the kernel sees no part
    for block in /sys/block/sd* /sys/block/vd* /sys/block/nvme*n*; do
        [ -e "$block/device" ] || continue
        [ "$(cat "$block/removable")" = 0 ] && [ "$(cat "$block/ro")" = 0 ] || continue
        # what a person plugs in is theirs, also when it is empty
        case $(readlink -f "$block") in */usb[0-9]*) continue ;; esac
        [ -z "$(ls "$block/holders" 2> /dev/null)" ] && ! ls -d "$block/${block##*/}"* > /dev/null 2>&1 || continue
        sectors=$(cat "$block/size")
        [ "$sectors" -ge $((kept_kib * 2 + 4096)) ] || continue
        echo "/dev/${block##*/} $sectors"
    done
}

is_zeros() { # DEVICE SECTOR: the MiB that begins there was read, and is nothing but zeros
    [ "$(dd if="$1" bs=512 skip="$2" count=2048 2> /dev/null | sha256sum | cut -d ' ' -f 1)" = $zeros ]
}

has() { # DEVICE OFFSET HEX: these bytes are there
    [ "$(dd if="$1" bs=1 skip="$2" count=$((${#3} / 2)) 2> /dev/null | od -An -v -tx1 | tr -d ' \n')" = "$3" ]
}

is_empty() { # DEVICE SECTORS: no partition table, no signature, zeros in the first and in the last MiB
    # Partition tables and nearly all signatures are in these two: MBR, GPT and its copy, RAID, LVM, LUKS, ZFS and all usual file systems.
    is_zeros "$1" 0 && is_zeros "$1" $(($2 - 2048)) || return 1
    # The others, or their copies: VMFS, ext with blocks of 1 and 4 KiB, Btrfs, the second header of LUKS 2.
    ! { has "$1" 1048576 0dd001c0 || has "$1" 8389688 53ef || has "$1" 134217784 53ef || has "$1" 67108928 5f42485266535f4d \
        || has "$1" 1048576 534b554cbabe || has "$1" 2097152 534b554cbabe || has "$1" 4194304 534b554cbabe; }
}

keeping_is_wished() { # the controller says that this terminal may (docs/reference/terminal-protocol.md); an older one says nothing
    case $url in http://?*/) ;; *) return 1 ;; esac
    wget -q -T 5 -O - "${url}terminals/config?id=$(cat "/sys/class/net/$interface/address")&format=plain&wait=0" 2> /dev/null \
        | head -c 65536 | grep -q -x 'setting_keep_on_disk=on'
}

take_empty_disk() { # the first empty disk has the label LABVIRT now; else it fails, and nothing was written
    [ -z "$disk" ] || return 1 # a stick keeps its kiosk itself
    own_disks > /run/labvirt/disks
    while read -r device sectors; do
        is_empty "$device" "$sectors" || continue
        keeping_is_wished || return 1
        say_over "This computer's disk is empty: it is made ready for the kiosk ..."
        if mke2fs -m 0 -L LABVIRT "$device" $kept_kib > /dev/null 2>&1 && sync; then
            say "This computer's disk (${device#/dev/}) was empty: the kiosk is kept there from now on."
            return 0
        fi
        say "This computer's disk (${device#/dev/}) is empty, and cannot be made ready for the kiosk: is it broken?"
        return 1
    done < /run/labvirt/disks
    return 1
}
