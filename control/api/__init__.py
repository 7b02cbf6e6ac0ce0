# SPDX-License-Identifier: Apache-2.0
"""The servicers of ``moorline.v1``: they check who asks, and ask the controller."""
