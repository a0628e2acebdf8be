# SPDX-License-Identifier: MIT
"""Disk files: versions that are never written again, and run folders with the overlays that take guests' writes.

The format of a file is told by whoever knows it and never guessed. qemu-img is called in jail.py only; overlays are written
here in the process. Keeps the contract labvirt.contracts.disks; knows nothing of databases, guests' states or networks.
"""
