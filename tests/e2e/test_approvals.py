"""Code that a person read is approved by the sha256 of its bytes, and by nothing less."""

import hashlib
import json

CODE = "/demo/custom-code/resolve/main/modeling.py"


def overlay(tmp_path, digest):
    file = tmp_path / "approved.yaml"
    file.write_text(json.dumps({"config": {"custom_code": {"approved": {digest: {"by": "alice", "ticket": "SEC-1"}}}}}))
    return str(file)


def test_a_python_file_passes_once_its_bytes_are_approved(hub, launch, tmp_path):
    code = hub.world["demo/custom-code"].main.files["modeling.py"].content.read(0, 1 << 20)
    right = f"sha256:{hashlib.sha256(code).hexdigest()}"
    gateway = launch(hub, "--policy-data", overlay(tmp_path, right))
    answer = gateway.get(CODE)
    assert answer.status == 200, answer.headers.get("X-Error-Message")
    assert answer.body == code


def test_the_approval_of_other_bytes_opens_nothing(hub, launch, tmp_path):
    gateway = launch(hub, "--policy-data", overlay(tmp_path, f"sha256:{'0' * 64}"))
    answer = gateway.get(CODE)
    assert answer.status == 403
    assert "code/custom-code" in answer.headers["X-Error-Message"]
