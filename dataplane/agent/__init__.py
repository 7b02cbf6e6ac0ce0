# SPDX-License-Identifier: Apache-2.0
"""The node agent: owns the host's facts, reports them, and serves its data plane to the controller."""
