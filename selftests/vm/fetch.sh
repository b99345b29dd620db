# SPDX-License-Identifier: Apache-2.0
# What guests are made of, unpacked from Debian's packages into $VM; nothing is installed.
# Each is fetched once: remove its folder to have it fetched anew. Source it, then:
#
#   fetch_tools      QEMU 10, virtme-ng, kmod, a static busybox: as commands in $VM/bin
#   fetch_ovs        Open vSwitch's daemons, to be measured beside, as commands in $VM/bin
#   fetch_clang N    that clang, as $VM/bin/clang-N, where the system has none
#   fetch_kernel K   a kernel with its modules, in $VM/linux-K
#   image_of K       its image;  release_of K  what it calls itself
#
# They return 0, or say in one line why they could not.
#
# (No shebang: this file is sourced by bash scripts.)

UNPACKED=$VM
. "$ROOT/scripts/unpack.sh"

# The suite whose kernel metapackage names that version. Unstable's moves on: the report names what it was.
declare -A KERNEL_SUITE=([6.1]=bookworm [6.12]=trixie [7.2]=sid)

# ---- tools, compilers, kernels ----

# QEMU 7.2 panics 6.12 guests. A system's older SeaBIOS makes QEMU 10 wait half a minute before it
# starts a kernel, so ours comes first.
fetch_tools() {
	local tools=$VM/tools newer=$CODENAME name
	[ "$CODENAME" != bookworm ] || newer=bookworm-backports
	unpack tools . "$CODENAME $newer trixie" {qemu-system-x86,qemu-system-common,qemu-system-data,seabios}/$newer \
		virtme-ng/trixie kmod busybox-static || return 1
	for name in modprobe depmod; do ln -sf "$(first "$tools"/{usr/,}bin/kmod)" "$VM/bin/$name"; done
	ln -sf "$(first "$tools"/{usr/,}bin/busybox)" "$VM/bin/busybox-static"
	wrapper qemu-system-x86_64 "$tools" "env QEMU_MODULE_DIR=$tools/usr/$LIB/qemu $tools/usr/bin/qemu-system-x86_64 -L $tools/usr/share/seabios -L $tools/usr/share/qemu"
	cp "$HERE/udevd" "$VM/bin/"
}

fetch_ovs() {
	local name
	unpack ovs . "$CODENAME" openvswitch-switch openvswitch-common || return 1
	for name in ovs-vswitchd ovs-vsctl ovsdb-server ovsdb-tool; do
		wrapper "$name" "$VM/ovs" "env OVS_PKGDATADIR=$VM/ovs/usr/share/openvswitch $(first "$VM/ovs"/usr/{sbin,bin,lib/openvswitch-switch}/"$name")"
	done
}

fetch_clang() {
	local tree=$VM/llvm-$1 from
	[ ! -x "$(type -P "clang-$1")" ] || return 0
	unpack "llvm-$1" . "$CODENAME bookworm" "clang-$1" || return 1
	from=$tree/usr/lib/llvm-$1/bin/clang
	wrapper "clang-$1" "$tree" "$from"
}

# The newest kernels come in several packages, and without the link from /lib that depmod goes by.
fetch_kernel() {
	local tree=$VM/linux-$1 suite=${KERNEL_SUITE[$1]:-}
	[ -n "$suite" ] || { echo "no suite is known for kernel $1: ${!KERNEL_SUITE[*]} are"; return 1; }
	EMPTY_SYSTEM=1 unpack "linux-$1" '^linux-(image|base|binary|modules)-[0-9]' "$suite" linux-image-amd64 || return 1
	[ -e "$tree/lib" ] || ln -s usr/lib "$tree/lib"
	[ -e "$tree/lib/modules/$(release_of "$1")/modules.dep" ] || "$VM/bin/depmod" -b "$tree" "$(release_of "$1")"
}

first() { ls "$@" 2>/dev/null | head -n 1; }
release_of() { ls "$VM/linux-$1/lib/modules"; }
image_of() { first "$VM/linux-$1"/boot/vmlinuz-* "$VM/linux-$1"/usr/lib/modules/*/vmlinuz; }
