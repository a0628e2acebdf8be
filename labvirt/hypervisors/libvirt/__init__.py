# SPDX-License-Identifier: MIT
"""The libvirt driver: transient domains through libvirt-python, open to virsh and virt-manager beside us.

What the host must allow (checked on libvirt 9.0, QEMU 7.2): libvirtd runs as root; every folder above the run folders and images may
be entered by the guests' users (mode o+x), because libvirt puts no bind mount in between; the path of a run folder leaves room
for its sockets (107 bytes). Files keep the owner LabVirt gave them: each domain carries its own static DAC label without relabelling.
"""
