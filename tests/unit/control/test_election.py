# SPDX-License-Identifier: Apache-2.0
"""Bids for a data plane, against one that keeps to P4Runtime and any number of rivals."""

from __future__ import annotations

import itertools

from finsy.proto import U128, p4r, rpc_code, rpc_status

from control.southbound.election import Election, Outcome


def update(code: int, highest: int) -> p4r.MasterArbitrationUpdate:
    return p4r.MasterArbitrationUpdate(election_id=U128.encode(highest), status=rpc_status.Status(code=code))


def test_each_stream_bids_more_than_the_one_before() -> None:
    election = Election(itertools.count(1000).__next__)
    first = election.first_bid()
    assert election.outcome(update(rpc_code.OK, first)) is Outcome.PRIMARY
    assert election.first_bid() > first


def test_who_took_over_is_not_outbid() -> None:
    election = Election(itertools.count(1000, 1000).__next__)
    bid = election.first_bid()
    assert election.outcome(update(rpc_code.ALREADY_EXISTS, 1500)) is Outcome.BACKUP
    assert election.first_bid() == 2000  # it was there before us: a restarted controller must get in
    assert election.outcome(update(rpc_code.OK, 2000)) is Outcome.PRIMARY
    assert election.outcome(update(rpc_code.ALREADY_EXISTS, 2500)) is Outcome.DEMOTED
    for _ in range(3):
        assert 2000 < (bid := election.first_bid()) < 2500
        assert election.outcome(update(rpc_code.ALREADY_EXISTS, 2500)) is Outcome.BACKUP
    # It has gone: a data plane that remembers it wants a higher bid, another takes this one.
    gone = update(rpc_code.NOT_FOUND, 2500)
    assert election.outcome(gone) is Outcome.NOBODY
    assert election.next_bid(gone) > 2500 > bid
    assert election.outcome(update(rpc_code.OK, 3000)) is Outcome.PRIMARY
    assert election.first_bid() > 3000


def test_an_election_id_beyond_all_clocks_is_outbid_when_nobody_holds_it() -> None:
    election = Election(lambda: 1000)
    election.first_bid()
    gone = update(rpc_code.NOT_FOUND, 1 << 100)
    assert election.outcome(gone) is Outcome.NOBODY
    assert election.next_bid(gone) == (1 << 100) + 1
