"""Token buckets and announced limits."""

from longtake.runtime.server.limits import Limits, TokenBucket


def test_a_bucket_allows_a_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(rate=10, burst=5)
    assert [bucket.take(0.0) for _ in range(7)] == [True] * 5 + [False] * 2
    assert not bucket.take(0.05)
    assert bucket.take(0.15)
    allowed = sum(bucket.take(1 + n / 100) for n in range(1000))
    assert 100 <= allowed <= 106


def test_an_idle_bucket_does_not_overflow() -> None:
    bucket = TokenBucket(rate=10, burst=5)
    bucket.take(0.0)
    assert sum(bucket.take(1e6) for _ in range(100)) == 5


def test_limits_travel_as_numbers() -> None:
    assert Limits().announced()["cues_per_second"] == 20
