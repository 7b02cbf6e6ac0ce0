# SPDX-License-Identifier: Apache-2.0
"""Service graphs: from an operator's file to rows of path tables, and their change while traffic goes on."""
