# SPDX-License-Identifier: Apache-2.0
"""One suite of P4Runtime requests for every server that serves the contract.

Each case says what the specification wants; where a server does otherwise, a row of the table in
``docs/p4runtime.md`` says what and why, and the suite holds it to that.
"""
