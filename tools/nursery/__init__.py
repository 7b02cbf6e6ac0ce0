# SPDX-License-Identifier: Apache-2.0
"""``moorline`` commands without the start of Python: forks of one process that has loaded all they need.

Controller or agent take half a second of processor time to be loaded, which is more than they use in a lab
of a few seconds. ``loaded`` is what the process has loaded, ``place`` where a fork runs, ``child`` the fork.
"""

from tools.nursery.child import Child, is_open, nursery

__all__ = ["Child", "is_open", "nursery"]
