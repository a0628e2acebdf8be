# SPDX-License-Identifier: MIT
"""Rows <-> domain values, field by field, one file per noun. Pure. A row that cannot be a value raises ValueError, InvalidInput or
KeyError.
"""
