import pytest

from gateway.domain.errors import ConfigError
from gateway.policy.bundle import Bundle
from gateway.policy.masks import Masks, masked, masks_of
from gateway.shipped import policy_data_dir, rego_dir
from tests.policy import tiny


def bundle(tmp_path, mask):
    text = None if mask is None else f"package system.log\n\nimport rego.v1\n\n{mask}\n"
    rego, data = tiny.write(tmp_path, {"system/log.rego": text})
    return Bundle.load(rego, data, "balanced")


async def test_the_shipped_masks_keep_the_claims_of_a_token_out_of_stored_inputs():
    masks = await masks_of(Bundle.load(rego_dir(), policy_data_dir(), "balanced"))
    assert "/subject/claims" in masks.input


async def test_pointers_into_records_and_inputs_are_told_apart(tmp_path):
    masks = await masks_of(bundle(tmp_path, 'mask contains p if some p in ["/address", "/input/subject/claims"]'))
    assert masks == Masks(record=("/address",), input=("/subject/claims",))


async def test_a_library_without_masks_masks_nothing(tmp_path):
    assert await masks_of(bundle(tmp_path, None)) == Masks()


@pytest.mark.parametrize("mask", ["mask := 3", 'mask contains "address"', "mask contains 1", "other := 1"])
async def test_masks_that_are_no_pointers_refuse_to_start(tmp_path, mask):
    with pytest.raises(ConfigError, match=r"system/log\.rego"):
        await masks_of(bundle(tmp_path, mask))


def test_masked_values_are_removed_and_named_and_the_original_stays():
    document = {"subject": {"id": "a", "claims": {"mail": "x"}}, "a/b": 1}
    result = masked(dict(document), ("/subject/claims", "/a~1b", "/subject/none", "/none/deep"))
    assert result == {"subject": {"id": "a"}, "masked": ["/subject/claims", "/a~1b"]}
    assert document["subject"]["claims"] == {"mail": "x"}
