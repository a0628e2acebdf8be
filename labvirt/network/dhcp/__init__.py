# SPDX-License-Identifier: MIT
"""DHCP by dnsmasq: one server for each lab's bridge."""
