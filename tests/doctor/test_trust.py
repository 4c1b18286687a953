import ssl

import pytest
import trustme

from gateway.doctor.probe import Unreachable
from gateway.doctor.trust import check_bundles, check_certificate, has_authorities


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    path = tmp_path_factory.mktemp("pki") / "ca.pem"
    trustme.CA().cert_pem.write_to_path(path)
    return path


def signed_by_ours(context):
    """A server whose certificate the authority of the test has signed, and no other."""
    if not any("trustme" in str(authority) for authority in context.get_ca_certs()):
        raise Unreachable("certificate", "unable to get local issuer certificate")


@pytest.mark.parametrize(
    ("names", "state"),
    [
        ((), "fail"),
        (("SSL_CERT_FILE",), "warn"),
        (("REQUESTS_CA_BUNDLE",), "warn"),
        (("CURL_CA_BUNDLE",), "warn"),
        (("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), "ok"),
        (("SSL_CERT_FILE", "CURL_CA_BUNDLE"), "ok"),
    ],
)
def test_each_generation_of_clients_reads_its_own_variable(names, state, bundle, around):
    check = check_certificate(around(**dict.fromkeys(names, str(bundle))), signed_by_ours)
    assert check.state == state
    assert state == "ok" or "SSL_CERT_FILE" in check.advice


def test_what_the_system_trusts_needs_no_variable(around):
    assert check_certificate(around(), lambda _context: None).state == "ok"


def test_a_connection_that_does_not_come_about_is_no_answer(around):
    def refused(_context):
        raise Unreachable("connect", "refused")

    with pytest.raises(Unreachable):
        check_certificate(around(), refused)


def test_a_bundle_that_cannot_be_read(bundle, around):
    here = around(SSL_CERT_FILE="missing.pem", REQUESTS_CA_BUNDLE=str(bundle))
    assert [(check.state, "SSL_CERT_FILE" in check.found) for check in check_bundles(here)] == [("fail", True)]
    assert check_bundles(around(REQUESTS_CA_BUNDLE=str(bundle.parent))) == [], "a folder of certificates is one too"


def test_a_python_without_authorities_says_nothing_of_a_certificate(bundle, around, tmp_path):
    def nobody_signed(_context):
        raise Unreachable("certificate", "unable to get local issuer certificate")

    assert check_certificate(around(), nobody_signed, is_blind=True).state == "unknown"
    assert check_certificate(around(SSL_CERT_FILE=str(bundle)), nobody_signed, is_blind=True).state == "fail"
    assert check_certificate(around(SSL_CERT_FILE=str(bundle)), signed_by_ours, is_blind=True).state == "warn"

    def paths(file, folder):
        return ssl.DefaultVerifyPaths("", "", "SSL_CERT_FILE", str(file), "SSL_CERT_DIR", str(folder))

    empty = tmp_path / "empty"
    empty.mkdir()
    assert has_authorities(paths(bundle, empty))
    assert has_authorities(paths(tmp_path / "missing", bundle.parent))
    assert not has_authorities(paths(tmp_path / "missing", empty))
