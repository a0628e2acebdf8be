# SPDX-License-Identifier: MIT
"""The command line: one module per noun. It reads words, calls a use case, prints what came back; it decides nothing.

docs/reference/command-line.md names every command, option and JSON key.
"""
