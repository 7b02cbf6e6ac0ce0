# SPDX-License-Identifier: Apache-2.0
"""Protobuf messages and gRPC stubs of the API, by version."""
