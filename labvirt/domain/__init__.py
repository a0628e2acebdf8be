# SPDX-License-Identifier: MIT
"""The lab as values and rules.

No I/O, no clock, no third-party package: values are frozen and cannot be wrong, rules are pure functions. Time comes in as an
argument. Rows of a database, libvirt objects and QMP answers never get here: drivers turn them into these values first.
"""
