# SPDX-License-Identifier: MIT
"""One file per noun: domain values in and out of one transaction."""
