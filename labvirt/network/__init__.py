# SPDX-License-Identifier: MIT
"""The lab's network: bridges, TAPs and filters (driver.py), DHCP and DNS (dhcp/, dns/), certificates of displays."""
