"""Layers and manifests: everything that a manifest leads to is named once, in order."""

from gateway.domain.objects import Layer, Manifest


def test_the_parts_of_a_manifest_are_its_config_and_its_layers():
    config, first, second = (Layer(digit * 64, 1, "application/x") for digit in "abc")
    assert Manifest("application/y", config, (first, second)).parts == (config, first, second)
