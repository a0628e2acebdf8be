# SPDX-License-Identifier: MIT
"""What happens by itself: wishes and reality are compared and brought together (domain.plan decides, this room does).

Operations on one guest run one at a time on worker threads; the loop waits for nobody. Who answers questions of other processes is
labvirt.link; this room only offers contracts.engine.EngineLink.
"""
