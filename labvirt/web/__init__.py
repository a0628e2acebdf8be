# SPDX-License-Identifier: MIT
"""The web process: it answers and has no rights. Wishes are written through the use cases; acts are the engine's.

One process: uvicorn serves Flask (inside a2wsgi) beside native async routes (terminal/question.py, ui/events.py) that only read
published snapshots and await notifications.
"""
