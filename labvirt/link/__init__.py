# SPDX-License-Identifier: MIT
"""The engine's Unix socket: how contracts.engine.EngineLink travels between processes. What the engine does is not known here."""
