import math

import pytest

from volumetrics.uncertainty import Budget, Term, independent, shared, total


def test_terms_add_in_variance_and_the_covariance_may_be_negative():
    budget = Budget(
        (Term("surface_noise", 9.0), Term("base_noise", 4.0), Term("shared_noise", -4.0))
    )
    assert budget.sigma_m3 == pytest.approx(3.0)
    assert budget.u95_m3 == pytest.approx(1.959964 * 3.0)
    assert budget.terms[2].sigma_m3 == pytest.approx(-2.0)


def test_few_degrees_of_freedom_widen_the_interval_where_noise_matters():
    noise, other = Term("surface_noise", 4.0), independent("holes", 1.0)
    # GUM G.4: 5² / (4² / 5) = 7.8 degrees of freedom; Student's t there is 2.315.
    assert Budget((noise, other), 5.0).coverage_factor == pytest.approx(2.317, abs=2e-3)
    assert Budget((noise,), 5.0).coverage_factor == pytest.approx(2.5706, abs=1e-4)
    assert Budget((other,), 5.0).coverage_factor == pytest.approx(1.959964)


def test_a_total_adds_shared_terms_linearly_and_others_in_quadrature():
    budgets = [
        Budget((independent("holes", 3.0), shared("scale", 1.0))),
        Budget((independent("holes", 4.0), shared("scale", 2.0))),
    ]
    terms = {term.name: term for term in total(budgets).terms}
    assert terms["holes"].sigma_m3 == pytest.approx(5.0)
    assert terms["scale"].sigma_m3 == pytest.approx(3.0)
    assert total(budgets).sigma_m3 == pytest.approx(math.sqrt(25.0 + 9.0))


def test_what_two_piles_share_cancels_in_their_difference():
    budgets = [Budget((shared("vertical_bias", 2.0),)), Budget((shared("vertical_bias", 2.0),))]
    assert total(budgets, (1.0, -1.0)).sigma_m3 == pytest.approx(0.0)


def test_no_piles_have_no_uncertainty():
    assert total([]).u95_m3 == 0.0
