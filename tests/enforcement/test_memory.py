import pytest

from gateway.enforcement.memory import HotMemory


class Generation:
    value = 1

    def __call__(self):
        return self.value


@pytest.fixture
def generation():
    return Generation()


def test_an_answer_is_remembered_until_the_generation_rises(generation):
    memory = HotMemory(generation)
    memory.put("key", "answer", 60.0, 1)
    assert memory.get("key") == "answer"
    generation.value = 2
    assert memory.get("key") is None


def test_what_was_decided_before_a_change_is_not_remembered_after_it(generation):
    memory = HotMemory(generation)
    generation.value = 2
    memory.put("key", "answer", 60.0, 1)
    assert memory.get("key") is None


def test_heavy_answers_push_out_old_ones_so_that_memory_is_bounded(generation):
    memory = HotMemory(generation, size=10)
    for name in "abcdefghij":
        memory.put(name, name, 60.0, 1)
    memory.put("listing", "listing", 60.0, 1, weight=4)
    assert [name for name in "abcdefghij" if memory.get(name)] == list("efghij")
    assert memory.get("listing") == "listing"


def test_an_answer_of_half_the_memory_and_more_is_not_remembered(generation):
    memory = HotMemory(generation, size=10)
    memory.put("small", "small", 60.0, 1)
    memory.put("huge", "huge", 60.0, 1, weight=6)
    assert memory.get("huge") is None
    assert memory.get("small") == "small"


def test_an_answer_that_is_put_again_weighs_once(generation):
    memory = HotMemory(generation, size=10)
    memory.put("other", "other", 60.0, 1)
    for _ in range(10):
        memory.put("key", "answer", 60.0, 1, weight=5)
    assert memory.get("other") == "other"


def test_an_answer_that_may_not_be_remembered_any_more_takes_the_old_one_away(generation):
    memory = HotMemory(generation)
    memory.put("key", "old", 60.0, 1)
    memory.put("key", "new", 0.0, 1)
    assert memory.get("key") is None
