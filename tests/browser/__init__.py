# SPDX-License-Identifier: MIT
"""The pages in a real browser."""
