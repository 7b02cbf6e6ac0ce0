# SPDX-License-Identifier: Apache-2.0
"""The controller's durable state behind one interface."""
