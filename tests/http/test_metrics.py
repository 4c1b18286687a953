from gateway.http.metrics import Metrics


def test_answers_are_counted_by_route_and_status():
    metrics = Metrics()
    for status in (200, 200, 403):
        metrics.answered("resolve", status, 0.01)
    text = metrics.render().decode()
    assert 'gateway_requests_total{route="resolve",status="200"} 2.0' in text
    assert 'gateway_requests_total{route="resolve",status="403"} 1.0' in text
    assert "gateway_request_seconds_count 3.0" in text


def test_two_gateways_in_one_process_do_not_share_numbers():
    one, other = Metrics(), Metrics()
    one.answered("info", 200, 0.1)
    one.bytes_delivered.inc(5)
    assert "gateway_delivered_bytes_total 0.0" in other.render().decode()
    assert 'route="info"' not in other.render().decode()
