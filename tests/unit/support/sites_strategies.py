"""Strategies of Hypothesis for sites."""

from __future__ import annotations

import string

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from sites_examples import SCHEMA

settings.register_profile(
    "quiet",
    database=None,
    deadline=None,
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("quiet")

WORDS = st.sampled_from(
    [
        *SCHEMA["additionalProperties"]["properties"],
        *("git", "version", "subdir", "command", "calendar", "watch", "task", "daily"),
        *("path", "url", "engine", "auth", "password", "name", "mode", "certificate", "key"),
        *("provided", "mysql", "harbour.test", "::1", "a:b", "CHANGEME", "x\ny", "\ud800", "\0"),
        *("k" * 900, "a\u2028b", "app", "*.a.test", "Ä.test", "%", "1" * 5000),
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**4400, max_value=10**4401)
    | st.floats()
    | st.text()
    | st.text(string.printable)
    | WORDS
    | st.dates()
    | st.binary(max_size=3)
)
KEYS_OF_ANY_TYPE = WORDS | st.text() | st.integers() | st.none() | st.booleans() | st.floats()
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.tuples(inner) | st.dictionaries(KEYS_OF_ANY_TYPE, inner, max_size=5)
    ),
    max_leaves=20,
)
