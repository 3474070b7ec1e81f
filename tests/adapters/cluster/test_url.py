"""`url`: where the Redis of a cluster is."""

import pytest

from chatproto_sync.cluster.url import RedisURL, hide_password, parse_redis_url

DB = (("db", 6379),)

GOOD = {
    "redis://db/tea": RedisURL("tea", DB),
    "REDIS://db:7000/tea": RedisURL("tea", (("db", 7000),)),
    "rediss://[::1]/t.e_a-1": RedisURL("t.e_a-1", (("::1", 6379),), tls=True),
    "redis://:p%40ss@db/tea": RedisURL("tea", DB, password="p@ss"),
    "redis://bob:p@ss@db/tea": RedisURL("tea", DB, user="bob", password="p@ss"),
    "redis+unix:///run/r%20s?name=tea": RedisURL("tea", unix="/run/r s"),
    "redis+unix://bob:secret@/run/redis?name=tea": RedisURL(
        "tea", unix="/run/redis", user="bob", password="secret"
    ),
    "redis+sentinel://one,two:7,[::1]:8/db/tea": RedisURL(
        "tea", (("one", 26379), ("two", 7), ("::1", 8)), service="db"
    ),
    "rediss+sentinel://:secret@one/db/tea": RedisURL(
        "tea", (("one", 26379),), service="db", tls=True, password="secret"
    ),
    "redis+sentinel://one/db/tea?sentinel-password=s%26s": RedisURL(
        "tea", (("one", 26379),), service="db", sentinel_password="s&s"
    ),
}

BAD = {
    "db:6379/tea": "none of the known schemes",
    "http://db/tea": "none of the known schemes",
    "redis://db/te a": "a space or a control character",
    "redis://db/tea\n": "a space or a control character",
    "redis://[::1/tea": "brackets without an IPv6 address",
    "redis://:sec#ret@db/tea": "write %23 for each #",
    "redis://bob@db/tea": "a user without a password",
    "redis:///tea": "lacks a host",
    "redis://one,two/tea": "has several without Sentinel",
    "redis+sentinel://one,,two/db/tea": "lacks a host",
    "redis+sentinel://one/tea": "lacks the name of the chat",
    "redis+sentinel://one/db/": "lacks the name of the chat",
    "redis://db:port/tea": "a number from 1 to 65535",
    "redis://db:0/tea": "a number from 1 to 65535",
    "redis://db:70000/tea": "a number from 1 to 65535",
    "redis://db": "lacks the name of the chat",
    "redis://db/": "lacks the name of the chat",
    "redis://db/0": "the number of a database can't be given",
    "redis://db/tea/time": "ends with tea/time",
    "redis://db/{tea}": "ends with {tea}",
    "redis://db/" + "x" * 65: "1 to 64 letters",
    "redis://db/tea?db=1": "the parameter db, which has no meaning",
    "redis://db/tea?sentinel-password=sec": "the parameter sentinel-password, which has no meaning",
    "redis+unix://run/redis?name=tea": "with three slashes",
    "redis+unix:///?name=tea": "with three slashes",
    "redis+unix:///run/%00?name=tea": "with three slashes",
    "redis+unix:///run/redis": "lacks the name of the chat",
    "redis+unix:///run/redis?name=tea&x=1": "the parameter x, which has no meaning",
}


@pytest.mark.parametrize("url", GOOD)
def test_a_good_url(url: str) -> None:
    assert parse_redis_url(url) == GOOD[url]


@pytest.mark.parametrize("url", BAD)
def test_a_bad_url(url: str) -> None:
    with pytest.raises(ValueError, match=BAD[url]) as caught:
        parse_redis_url(url)
    assert "sec" not in str(caught.value)


def test_a_password_beside_the_url() -> None:
    assert parse_redis_url("redis://bob@db/tea", "secret").password == "secret"
    with pytest.raises(ValueError, match="given twice"):
        parse_redis_url("redis://:other@db/tea", "secret")


def test_a_password_of_sentinels_beside_the_url() -> None:
    url = "redis+sentinel://:one@a/db/tea"
    found = parse_redis_url(url, sentinel_password="two")
    assert (found.password, found.sentinel_password) == ("one", "two")
    with pytest.raises(ValueError, match="password of the sentinels is given twice"):
        parse_redis_url(url + "?sentinel-password=other", sentinel_password="two")
    with pytest.raises(ValueError, match="begins with redis\\+sentinel:// if there are some"):
        parse_redis_url("redis://db/tea", sentinel_password="two")


def test_the_password_is_not_shown() -> None:
    full = "redis+sentinel://:secret@one/db/tea?sentinel-password=secret"
    assert "secret" not in repr(parse_redis_url(full))
    assert hide_password(full) == "redis+sentinel://:***@one/db/tea?sentinel-password=***"
    url = parse_redis_url("redis://:secret@[::1]/tea")
    assert "secret" not in repr(url)
    assert url.address == "[::1]:6379"
    assert parse_redis_url("redis+unix:///run/redis?name=tea").address == "unix:/run/redis"
    assert parse_redis_url("redis+sentinel://a,b/db/tea").address == "a:26379,b:26379/db"
