"""The rules of tiers and selections hold for whatever callers write and tenants select."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from gateway.selecting import AUTO, WORDS, may_use, select, tier_meant, wish_of
from wire.documents import TIERS, USES, Selected

KNOWN = {"gpt-4o", "mini", "standard"}
NAMES = st.sampled_from([*WORDS, "Bulk", "AUTO", "gpt-4o", "mini", "openai/bulk", "", "  ", "nobody's"])
HEADERS = st.sampled_from(["", *WORDS, "Frontier", "gold", "bulk,frontier"])
KEY_TIERS = st.sampled_from(["", *TIERS, "of a newer version"])
SELECTIONS = st.lists(
    st.builds(
        Selected,
        use=st.sampled_from(USES),
        tier=st.sampled_from(TIERS),
        provider=st.sampled_from(["openai", "anthropic"]),
        model=st.sampled_from(["a", "b", "c"]),
        project=st.sampled_from(["", "p_1", "p_2"]),
    ),
    max_size=12,
    unique_by=lambda each: (each.use, each.tier, each.project),
)


@given(NAMES, HEADERS, st.sets(st.sampled_from([*sorted(KNOWN), *WORDS])))
def test_a_model_that_is_valid_is_never_exchanged(name, header, known):
    wish = wish_of(name, header, is_known=known.__contains__)
    if name.strip() and name in known and not wish.problem:
        assert wish == (name, "", "")


@given(NAMES, HEADERS)
def test_only_the_name_of_a_tier_is_looked_up(name, header):
    wish = wish_of(name, header, is_known=lambda _: False)
    if name.strip() and name.strip().lower() not in WORDS:
        assert not wish.tier
        assert wish.model == name


@given(NAMES, HEADERS, KEY_TIERS)
@example("auto", "", "frontier")
@example("", "auto", "frontier")
def test_frontier_is_always_the_caller_s_explicit_choice(name, header, key_tier):
    wish = wish_of(name, header, is_known=lambda _: False)
    if wish.tier and tier_meant(wish.tier, key_tier) == "frontier":
        assert "frontier" in (name.strip().lower(), header.strip().lower())


@given(NAMES, HEADERS)
def test_what_the_caller_wrote_is_what_is_kept(name, header):
    wish = wish_of(name, header, is_known=lambda _: False)
    assert wish.model == name or (not name.strip() and wish.model == header.lower())


@given(NAMES, HEADERS)
def test_two_tiers_that_differ_are_a_problem_and_auto_gives_way(name, header):
    wish = wish_of(name, header, is_known=lambda _: False)
    said, word = name.strip().lower(), header.strip().lower()
    if word not in ("", *WORDS):
        assert "x-spendops-tier must be one of" in wish.problem
    elif said in TIERS and word in TIERS and said != word:
        assert "send one" in wish.problem
    elif said in WORDS:
        assert wish.tier == (said if word in ("", AUTO) else word)


@given(KEY_TIERS)
def test_auto_is_the_key_s_tier_or_bulk(key_tier):
    assert tier_meant(AUTO, key_tier) == {"standard": "standard", "frontier": "standard"}.get(key_tier, "bulk")
    assert [tier_meant(tier, key_tier) for tier in TIERS] == list(TIERS)


def test_a_key_reaches_its_own_tier_and_those_below():
    reached = {key: [tier for tier in TIERS if may_use(tier, key)] for key in ("", *TIERS, "of a newer version")}
    assert reached == {
        "": list(TIERS),
        "bulk": ["bulk"],
        "standard": ["bulk", "standard"],
        "frontier": list(TIERS),
        "of a newer version": [],
    }


@given(SELECTIONS, st.sampled_from(USES), st.sampled_from(TIERS), st.sampled_from(["p_1", "p_3"]), st.data())
def test_the_project_s_selection_goes_before_the_tenant_s_and_a_listed_one_before_all(
    selections, use, tier, project, data
):
    listed = data.draw(st.sets(st.sampled_from(["a", "b", "c"])))
    found = select(selections, use=use, tier=tier, project=project, is_listed=lambda each: each.model in listed)
    fitting = {each.project: each for each in selections if (each.use, each.tier) == (use, tier)}
    own, ours = fitting.get(project), fitting.get("")
    offered = [each for each in (own, ours) if each is not None and each.model in listed]
    assert found == next((each for each in (*offered, own, ours) if each is not None), None)
