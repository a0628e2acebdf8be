# SPDX-License-Identifier: MIT
# The parts of init. Every one either does what its name says, or says why not in $trouble.
# shellcheck shell=sh disable=SC2034

image='' sha256='' address_way='' trouble='' interface='' url='' disk='' asks=''
manifest=/run/labvirt/manifest.json

say() { # SENTENCE: on every console, in a line of its own
    for console in $(cat /sys/class/tty/console/active 2> /dev/null || echo console); do
        printf '\r\033[K%s\n' "$1" > "/dev/$console"
    done 2> /dev/null
}

say_over() { # SENTENCE: on every console; the next one overwrites it
    for console in $(cat /sys/class/tty/console/active 2> /dev/null || echo console); do
        printf '\r\033[K%s' "$1" > "/dev/$console"
    done 2> /dev/null
}

phase() { # NAME: when it was reached, in ms since the kernel began (/proc/uptime counts hundredths)
    read -r since rest < /proc/uptime
    echo "$1 ${since%.*}${since#*.}0" >> /run/labvirt/timeline
}

again() { # SECONDS SENTENCE
    left=$1
    while [ "$left" -gt 0 ]; do
        say_over "$2 Trying again in $left s."
        sleep 1
        left=$((left - 1))
    done
    say "$2"
}

read_words() { # TEXT: the kernel's command line. The last of two equal words counts, as with the kernel's own
    image='' sha256='' address_way='' url='' disk='' asks=''
    set -f
    for word in $1; do
        case $word in
            labvirt.url=*) url=${word#*=} ;;
            labvirt.disk=*) disk=${word#*=} ;;
            labvirt.image=*) image=${word#*=} ;;
            labvirt.sha256=*) sha256=${word#*=} ;;
            ip=*) address_way=${word#*=} ;;
        esac
    done
    set +f
    # A stick's menu is older than what the controller serves: the controller is asked what that is.
    [ -n "$image$sha256" ] || case $url in http://?*/) asks=yes ;; esac
}

wanted_is_whole() {
    trouble=''
    case $asks$image in
        yes | http://?*/?*) ;;
        '') trouble="The boot menu names no image (labvirt.image=): tell your administrator." ;;
        *) trouble="The boot menu names an image that is not at an http:// address (labvirt.image=): tell your administrator." ;;
    esac
    case $asks$sha256 in
        yes) ;;
        *[!0-9a-f]*) trouble="The boot menu's checksum is not one (labvirt.sha256=): tell your administrator." ;;
        ????????????????????????????????????????????????????????????????) ;;
        *) trouble="The boot menu names no checksum of 64 digits (labvirt.sha256=): tell your administrator." ;;
    esac
    case $address_way in
        dhcp | '') ;;
        *) trouble="The boot menu wants ip=$address_way; this terminal knows only ip=dhcp: tell your administrator." ;;
    esac
    [ -z "$trouble" ]
}

load_modules() { # for all hardware that has told its name so far; a hub or a controller may bring more
    # busybox grep takes no line at all, not every line, when its file of patterns is empty
    echo - > /run/labvirt/tried
    for round in 1 2; do
        find /sys/devices -name modalias -exec cat {} + 2> /dev/null | sort -u > /run/labvirt/modalias
        # one at a time: a name that nobody knows must not keep the others out; the second round takes only what the first one brought
        grep -F -x -v -f /run/labvirt/tried /run/labvirt/modalias > /run/labvirt/names
        while read -r name; do modprobe -q "$name" 2> /dev/null; done < /run/labvirt/names
        cp /run/labvirt/modalias /run/labvirt/tried
    done
    # ext4 wants crc32c by its purpose, which nobody here answers (/sbin/modprobe)
    for name in loop squashfs overlay sd_mod crc32c_generic ext4 vfat nls_cp437 nls_ascii nls_utf8; do modprobe -q "$name" 2> /dev/null; done
}

cards() { # the network cards, those with a cable first
    for class in 1 0; do
        for card in /sys/class/net/*; do
            [ -e "$card/device" ] || continue
            carrier=$(cat "$card/carrier" 2> /dev/null)
            [ "${carrier:-0}" = "$class" ] && echo "${card##*/}"
        done
    done
}

find_network() { # an address on one of the cards, which is $interface then
    for card in $(cards); do ip link set "$card" up; done
    if [ -z "$(cards)" ]; then
        trouble="This computer has no network card that the kiosk knows."
        return 1
    fi
    waited=0
    until cat /sys/class/net/*/device/../../net/*/carrier /sys/class/net/e*/carrier 2> /dev/null | grep -q 1 || [ $waited -ge 8 ]; do
        say_over "Waiting for the network cable ..."
        sleep 1
        waited=$((waited + 1))
    done
    for card in $(cards); do
        [ "$(cat "/sys/class/net/$card/carrier" 2> /dev/null)" = 1 ] || continue
        say_over "Asking for an address ($card) ..."
        if udhcpc -i "$card" -f -q -n -t 4 -T 2 -A 1 -s /lib/lease > /run/labvirt/dhcp.log 2>&1; then
            interface=$card
            say "Address $(cat /run/labvirt/address) on $card."
            return 0
        fi
    done
    trouble="No address from the network: is the cable in, and does the lab's DHCP server run?"
    return 1
}

know_image() { # $image and $sha256 are what the controller serves now, where the boot menu leaves that to it
    [ -n "$asks" ] || return 0
    say_over "Asking the controller for the kiosk ..."
    if ! wget -q -T 20 -O "$manifest" "${url}boot/manifest.json" 2> /run/labvirt/wget.log; then
        trouble="The controller at $url does not answer: is it on, and is this computer in its network?"
        return 1
    fi
    image=${url}boot/kiosk.squashfs
    sha256=$(listed_sha256 kiosk.squashfs)
    trouble="The controller at $url names no kiosk: tell your administrator."
    [ -n "$sha256" ]
}

listed_sha256() { # NAME: its checksum in the controller's manifest.json; empty when there is none
    head -c 100000 "$manifest" | tr -d ' \t\r\n' | sed -n "s/.*\"$1\":{[^}]*\"sha256\":\"\([0-9a-f]\{64\}\)\".*/\1/p"
}

renew_start() { # the stick's kernel and initial file system are the controller's, or this start goes on with what it has
    [ -n "$asks" ] || return 0
    open_cache
    # a renewal that was cut between its two last steps is ended now
    [ -z "$cache" ] || [ -d /cache/boot ] || mv /cache/boot.new /cache/boot 2> /dev/null
    if [ -z "$cache" ] || [ ! -d /cache/boot ] || start_is_listed /cache/boot; then
        close_cache
        return 0
    fi
    say_over "Fetching the newer start of this stick ..."
    # Whole, or not at all: GRUB looks for boot, boot.new and boot.old, in this order.
    if rm -rf /cache/boot.new /cache/boot.old && mkdir /cache/boot.new \
        && wget -q -T 20 -O /cache/boot.new/vmlinuz "${url}boot/vmlinuz" \
        && wget -q -T 20 -O /cache/boot.new/initrd.img "${url}boot/initrd.img" \
        && start_is_listed /cache/boot.new && sync \
        && mv /cache/boot /cache/boot.old && mv /cache/boot.new /cache/boot && sync; then
        close_cache
        say "This stick begins with the newer kiosk now. Starting again ..."
        reboot -f
    fi 2> /dev/null
    [ ! -d /cache/boot ] || rm -rf /cache/boot.new 2> /dev/null
    close_cache
    say "The newer start could not be kept on this stick; this start goes on with the older one."
}

start_is_listed() { # FOLDER: are its kernel and initial file system those of the manifest?
    for name in vmlinuz initrd.img; do
        [ "$(sha256sum "$1/$name" 2> /dev/null | cut -d ' ' -f 1)" = "$(listed_sha256 "$name")" ] || return 1
    done
}

is_wanted() { # FILE
    [ -f "$1" ] && [ "$(sha256sum "$1" | cut -d ' ' -f 1)" = "$sha256" ]
}

have_image() { # /ram/kiosk.squashfs is the wanted one, from a disk labelled LABVIRT or from the network
    open_cache
    if [ -z "$cache" ] && take_empty_disk; then open_cache; fi
    if [ -n "$cache" ] && [ -f /cache/kiosk.squashfs ]; then
        say_over "Reading the kiosk from this computer's disk ..."
        if cp /cache/kiosk.squashfs /ram/kiosk.squashfs 2> /dev/null && is_wanted /ram/kiosk.squashfs; then
            say "The kiosk on this computer's disk is the right one."
            { echo "from_disk 1"; echo "image_bytes $(size_of /ram/kiosk.squashfs)"; } >> /run/labvirt/timeline
            close_cache
            return 0
        fi
        rm -f /ram/kiosk.squashfs
    fi
    if ! fetch; then
        close_cache
        return 1
    fi
    if [ -n "$cache" ]; then
        say_over "Keeping the kiosk on this computer's disk ..."
        # A disk that has room for one only: the old one is of no use any more.
        rm -f /cache/kiosk.squashfs.part /cache/kiosk.squashfs 2> /dev/null
        if cp /ram/kiosk.squashfs /cache/kiosk.squashfs.part 2> /dev/null && sync \
            && mv /cache/kiosk.squashfs.part /cache/kiosk.squashfs 2> /dev/null; then
            say "The kiosk is kept on this computer's disk: the next start is quicker."
        else
            rm -f /cache/kiosk.squashfs.part 2> /dev/null
            say "The kiosk could not be kept on this computer's disk (is it full or read-only?); it works all the same."
        fi
    fi
    close_cache
}

open_cache() { # $cache is the partition to keep the image in, mounted at /cache, or empty. No other disk is opened for writing.
    cache=$(find_cache) || cache=''
    [ -n "$cache" ] || return 0
    mount -t ext4 -o nosuid,nodev,noexec "$cache" /cache 2> /dev/null \
        || mount -t vfat -o nosuid,nodev,noexec "$cache" /cache 2> /dev/null \
        || mount -t ext4 -o ro,noload,nosuid,nodev,noexec "$cache" /cache 2> /dev/null || cache=''
}

find_cache() { # the one that the boot menu names (labvirt.disk=UUID=...), else the one labelled LABVIRT
    waited=0
    # a stick tells its name seconds after the kernel has begun
    until [ -z "$disk" ] || findfs "$disk" 2> /dev/null || [ $waited -ge 8 ]; do
        sleep 1
        load_modules
        waited=$((waited + 1))
    done
    [ -n "$disk" ] && [ $waited -lt 8 ] || findfs LABEL=LABVIRT 2> /dev/null
}

close_cache() {
    [ -z "$cache" ] || umount /cache
    cache=''
}

size_of() { # FILE: its bytes now
    [ -f "$1" ] && stat -c %s "$1" || echo 0
}

megabytes() { # BYTES
    echo "$(($1 / 1000000))"
}

fetch() { # the image from the network, with its checksum proved
    part=/ram/kiosk.squashfs.part
    rm -f "$part"
    : > /run/labvirt/wget.log
    wget -q -S -T 20 -O "$part" "$image" 2> /run/labvirt/wget.log &
    worker=$!
    while kill -0 "$worker" 2> /dev/null; do
        total=$(sed -n 's/^ *[Cc]ontent-[Ll]ength: *\([0-9]*\).*/\1/p' /run/labvirt/wget.log | tail -n 1)
        say_over "Fetching the kiosk: $(megabytes "$(size_of "$part")")${total:+ of $(megabytes "$total")} MB"
        sleep 1
    done
    if ! wait "$worker"; then
        reason=$(tail -n 1 /run/labvirt/wget.log | tr -cd '[:print:]' | cut -c 1-70)
        trouble="The kiosk could not be fetched (${reason:-the connection ended}); the server is ${image%/*}/."
        rm -f "$part"
        return 1
    fi
    fetched=$(size_of "$part")
    phase fetched
    say_over "Checking the kiosk ..."
    if ! is_wanted "$part"; then
        trouble="What came from the server is not the kiosk that was asked for (wrong checksum)."
        rm -f "$part"
        return 1
    fi
    mv "$part" /ram/kiosk.squashfs
    { echo "from_disk 0"; echo "image_bytes $fetched"; } >> /run/labvirt/timeline
    say "The kiosk is here: $(megabytes "$fetched") MB."
}

is_mounted() { # FOLDER
    grep -q " $1 " /proc/mounts
}

enter_image() { # /root is the image with a layer of memory above it
    trouble="The kiosk cannot be opened: this computer may have too little or broken memory."
    is_mounted /image || mount -t squashfs -o ro,loop /ram/kiosk.squashfs /image || return 1
    is_mounted /over || mount -t tmpfs -o mode=755,size=40% over /over || return 1
    mkdir -p /over/upper /over/work
    is_mounted /root || mount -t overlay -o lowerdir=/image,upperdir=/over/upper,workdir=/over/work overlay /root || return 1
    cp /run/labvirt/resolv.conf /root/etc/resolv.conf 2> /dev/null || : > /root/etc/resolv.conf
}
