"""Answers whether the local stack finds its ports. Touches loopback sockets."""

import socket

from huntaze.local.ports import LOOPBACK, answers, ports_choose


def test_a_free_port_is_taken_as_wanted():
    free = ports_choose({"probe": 0})["probe"]
    assert ports_choose({"web": free}) == {"web": free}


def test_a_taken_port_is_replaced_by_a_free_one():
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        taken = other.getsockname()[1]
        chosen = ports_choose({"web": taken})["web"]
        assert chosen != taken
        assert not answers(chosen)
        assert answers(taken)


def test_no_two_names_get_the_same_port():
    chosen = ports_choose(dict.fromkeys("abcdef", 0))
    assert len(set(chosen.values())) == 6
