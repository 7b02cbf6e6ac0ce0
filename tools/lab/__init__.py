# SPDX-License-Identifier: Apache-2.0
"""A laboratory on one machine: hosts and routers as network namespaces, real programs, real faults."""

from tools.lab.lab import HostPlan, Lab
from tools.lab.namespace import Namespace
from tools.lab.process import Process
from tools.lab.switched import SwitchPlan

__all__ = ["HostPlan", "Lab", "Namespace", "Process", "SwitchPlan"]
