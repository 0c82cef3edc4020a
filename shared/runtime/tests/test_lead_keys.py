"""Keys of leads: found in batches, believed for seconds, gone when their lead is."""

import pytest
from mirsal_contracts.leads import CONFIG, OUTPUT
from mirsal_runtime.vault.keys import GivenKeys
from mirsal_runtime.vault.lead_keys import (
    ERASED,
    FRESH_SECONDS,
    LEAD_UNREADABLE,
    KeysAway,
    LeadKeys,
    Lost,
)
from mirsal_runtime.vault.personal import KeyName, LeadKey
from mirsal_runtime.vault.sealing import SealBroken
from mirsal_testing.lead_keys import KeyCabinet
from pydantic import SecretStr


def name_of(key: LeadKey, workspace: str = "w") -> KeyName:
    return KeyName(workspace, key.id)


async def test_many_keys_cost_one_look_and_none_while_they_are_fresh() -> None:
    cabinet = KeyCabinet()
    made = [await cabinet.make("w", f"lead-{number}") for number in range(50)]
    keys = cabinet.reader()
    found = await keys.find(map(name_of, made))
    sealed = made[7].hide({"to": "a@b.c"}, CONFIG, "c1")
    key = found[name_of(made[7])]
    assert isinstance(key, LeadKey)
    assert key.reveal(sealed, CONFIG, "c1") == {"to": "a@b.c"}
    await keys.find(map(name_of, made))
    assert cabinet.looks == 1
    cabinet.now += FRESH_SECONDS
    await keys.find(map(name_of, made))
    assert cabinet.looks == 2


async def test_an_erased_lead_is_gone_within_seconds() -> None:
    cabinet = KeyCabinet()
    key = await cabinet.make("w", "ahmed")
    keys = cabinet.reader()
    assert isinstance(await keys.find_one(name_of(key)), LeadKey)
    cabinet.erase(key)
    assert await keys.find_one(name_of(key)) == ERASED
    assert (await keys.find([name_of(key)])) == {name_of(key): ERASED}


async def test_a_key_of_another_workspace_is_none() -> None:
    cabinet = KeyCabinet()
    key = await cabinet.make("w", "ahmed")
    assert await cabinet.reader().find_one(name_of(key, "v")) == ERASED


async def test_what_is_no_key_is_looked_up_by_nobody() -> None:
    cabinet = KeyCabinet()
    assert await cabinet.reader().find_one(KeyName("w", "'; DROP TABLE leads")) == ERASED
    assert cabinet.looks == 0


@pytest.mark.parametrize("change", [{"lead_id": "other"}, {"wrapped": b"\x01" + b"0" * 60}])
async def test_a_row_that_was_moved_or_changed_does_not_open(change: dict[str, str]) -> None:
    cabinet = KeyCabinet()
    key = await cabinet.make("w", "ahmed")
    cabinet.move(key, **change)
    found = await cabinet.reader().find_one(name_of(key))
    assert isinstance(found, Lost)
    assert found.code == LEAD_UNREADABLE


async def test_nothing_is_taken_for_erased_while_nobody_can_tell() -> None:
    cabinet = KeyCabinet()
    key = await cabinet.make("w", "ahmed")
    without = LeadKeys(cabinet._find, GivenKeys(SecretStr("")))
    with pytest.raises(KeysAway):
        await without.find_one(name_of(key))
    cabinet.away = True
    with pytest.raises(KeysAway):
        await cabinet.reader().find_one(name_of(key))


async def test_what_is_sealed_opens_in_its_own_place_only() -> None:
    cabinet = KeyCabinet()
    key, other = await cabinet.make("w", "ahmed"), await cabinet.make("w", "sara")
    sealed = key.hide({"n": 2**70, "text": "أحمد"}, OUTPUT, "e1")
    assert key.reveal(sealed, OUTPUT, "e1") == {"n": 2**70, "text": "أحمد"}
    for wrong, what, of in ((key, OUTPUT, "e2"), (key, CONFIG, "e1"), (other, OUTPUT, "e1")):
        with pytest.raises(SealBroken):
            wrong.reveal(sealed, what, of)
    assert key.reveal({"plain": 1}, OUTPUT, "e1") == {"plain": 1}
    for text in ("", "AAAA", "no base64!", "\N{SNOWMAN}"):
        with pytest.raises(SealBroken):
            key.open(text, OUTPUT, "e1")


async def test_who_asks_anew_sees_an_erasure_of_this_moment() -> None:
    cabinet = KeyCabinet()
    key, other = await cabinet.make("w", "ahmed"), await cabinet.make("w", "sara")
    keys = cabinet.reader()
    names = [name_of(key), name_of(other)]
    await keys.find(names)
    cabinet.rows.clear()
    assert all(isinstance(each, LeadKey) for each in (await keys.find(names)).values())
    found = await keys.find(names, anew={name_of(key)})
    assert (found[name_of(key)], cabinet.looks) == (ERASED, 2)
    assert isinstance(found[name_of(other)], LeadKey)
    assert (await keys.find(names))[name_of(key)] == ERASED
