"""The tree of exceptions and the table of codes."""

from longtake.protocol import errors
from longtake.protocol.errors import ERROR_CODES, LOCAL_CODES, LongtakeError, ProtocolError, Refused, error_message


def test_every_exception_of_the_module_is_in_its_tree_and_drawn():
    found = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    assert len(found) > 8
    for kind in found:
        assert issubclass(kind, LongtakeError)
        assert kind.__name__ in (errors.__doc__ or "")


def test_an_error_is_one_line_with_code_and_retryable_from_the_table():
    error = Refused("too_fast", "slow down")
    assert (str(error), error.code, error.retryable) == ("slow down", "too_fast", True)
    assert not Refused("from_2099", "?").retryable
    assert Refused("from_2099", "?", retryable=True).retryable


def test_local_codes_are_in_the_table_and_the_rest_travel():
    assert set(ERROR_CODES) > LOCAL_CODES
    for kind in (errors.EndpointError, errors.ConnectionFailed, errors.ConnectionLost, errors.RequestTimeout):
        assert kind("x").code in LOCAL_CODES


def test_the_answer_to_an_error_carries_its_request():
    error = ProtocolError("invalid", "no", request=5)
    assert error_message(error).request == 5
    assert error_message(error, 6).request == 6
    assert error_message(error).code == "invalid"


def test_exceptions_can_be_caught_as_pythons_own():
    assert isinstance(errors.RequestTimeout("x"), TimeoutError)
    assert isinstance(errors.ConnectionLost("x"), ConnectionError)
    assert isinstance(errors.EndpointError("x"), ValueError)
