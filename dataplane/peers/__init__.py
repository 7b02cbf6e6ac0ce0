# SPDX-License-Identifier: Apache-2.0
"""Feature peers at a node: those that its agent runs, and those that its user attached."""
