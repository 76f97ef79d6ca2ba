"""Options as processes hand them on."""

import pytest

from longtake.runtime.options import parse_option


def test_a_value_may_hold_what_separates_it() -> None:
    assert parse_option("keep-prompts=a=b") == ("keep_prompts", "a=b")
    assert parse_option("folder=") == ("folder", "")


@pytest.mark.parametrize("text", ["positions", "=relative", ""])
def test_what_is_no_option_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not of the form name=value"):
        parse_option(text)
