# SPDX-License-Identifier: MIT
"""What the domain needs from the world: typing.Protocol plus frozen data, one file per door.

Every operation says when it is called, what is true afterwards, what is true after a failure and which errors it raises. All are
synchronous and may be called from any thread. What only some drivers can do is a Capability that is asked for first.
"""
