"""The objects of each example of the chart."""

import pytest

from tests.helm.chart import EXAMPLES, example, render


@pytest.fixture(params=[path.stem for path in EXAMPLES])
def objects(request):
    """The objects of each set of example values."""
    return render(example(request.param))
