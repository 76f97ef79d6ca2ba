"""PendingRequests: each future gets exactly its own answer."""

import pytest

from longtake.clients.session.pending_requests import PendingRequests, wait_answer
from longtake.protocol.errors import ConnectionLost, ProtocolError, Refused, RequestTimeout
from longtake.protocol.messages import Done, Error, WorldList


def test_answers_reach_their_own_request():
    requests = PendingRequests()
    first, first_answer = requests.begin(Done)
    second, second_answer = requests.begin(Done)
    assert requests.settle(Done(request=second, world="w", tick=2))
    assert requests.settle(Done(request=first, world="w", tick=1))
    assert (first_answer.result(0).tick, second_answer.result(0).tick) == (1, 2)
    assert not requests.settle(Done(request=first, world="w"))


def test_an_error_carries_code_text_and_whether_to_retry():
    requests = PendingRequests()
    number, answer = requests.begin(Done)
    requests.settle(Error(request=number, code="new_code", message="do this", retryable=True))
    with pytest.raises(Refused, match="do this") as refused:
        answer.result(0)
    assert (refused.value.code, refused.value.retryable, refused.value.request) == ("new_code", True, number)


def test_an_answer_of_another_kind_is_an_error_not_a_surprise():
    requests = PendingRequests()
    number, answer = requests.begin(Done)
    requests.settle(WorldList(request=number, worlds=[]))
    with pytest.raises(ProtocolError, match="WorldList, not Done"):
        answer.result(0)


def test_waiting_ends_with_one_line_and_a_late_answer_is_harmless():
    requests = PendingRequests()
    number, answer = requests.begin(Done)
    with pytest.raises(RequestTimeout, match=r"no answer to pause within 0\.01 s"):
        wait_answer(answer, 0.01, "pause")
    assert requests.settle(Done(request=number, world="w"))


def test_messages_without_a_number_answer_nothing():
    assert not PendingRequests().settle(Error(code="internal", message="x"))


def test_a_lost_connection_fails_all():
    requests = PendingRequests()
    answers = [requests.begin(Done)[1] for _ in range(3)]
    requests.fail_all(ConnectionLost("gone"))
    for answer in answers:
        with pytest.raises(ConnectionLost):
            answer.result(0)
