"""The simulated Monday: closed forms of queues that one can count by hand."""

import pytest

from bench.simulation import Fleet, hours_of_sites

HOUR = 3600.0


def test_one_survey_on_one_worker_takes_its_work():
    fleet = Fleet(workers=1, cores=4, busy=2.0)
    # One hour on two of four cores, and one on all four.
    stages = {"sfm": 2 * HOUR, "dense": 4 * HOUR}
    assert hours_of_sites(stages, 64, fleet, 1, 0.0) == [pytest.approx(2.0)]


def test_surveys_wait_for_each_other_on_one_worker():
    fleet = Fleet(workers=1, cores=1, busy=1.0)
    assert hours_of_sites({"sfm": HOUR}, 64, fleet, 3, 0.0) == pytest.approx([1.0, 2.0, 3.0])


def test_idle_workers_take_shards():
    stages = {"dense": 64 * HOUR}
    alone, many = Fleet(1, 1, 1.0), Fleet(64, 1, 1.0)
    assert hours_of_sites(stages, 64, alone, 1, 0.0) == [pytest.approx(64.0)]
    assert hours_of_sites(stages, 64, many, 1, 0.0) == [pytest.approx(1.0)]


def test_no_work_is_lost_or_done_twice():
    fleet = Fleet(workers=5, cores=2, busy=2.0)
    stages = {"features": 1 * HOUR, "sfm": 2 * HOUR, "dense": 4 * HOUR, "model": 1 * HOUR}
    hours = hours_of_sites(stages, 64, fleet, 50, 0.0)
    # 50 surveys of 8 CPU-hours on 10 cores: never sooner than 40 hours, and hardly later.
    assert 40.0 <= max(hours) < 43.0
    assert all(hour > 0.0 for hour in hours)
