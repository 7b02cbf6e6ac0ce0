# SPDX-License-Identifier: Apache-2.0
"""The demonstration: a download by name that goes on while both ends change their addresses."""
