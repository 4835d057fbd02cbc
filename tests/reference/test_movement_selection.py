"""Step selection of a pronghorn beside the R packages amt and survival (values computed once with them)."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from linkways import movement


@pytest.fixture(scope="module")
def fitted(shared):
    """The steps that amt drew, in the units of the reference; strata of standing still have no case."""
    table = pd.read_csv(shared / "data/movement/issa_pronghorn102_casecontrol.csv.gz")
    table = table.assign(stratum=table["step_id_"], dfence_km=table["dfence"] / 1000, sl_km=table["sl_"] / 1000)
    terms = ["cross", "dfence_km", "sl_km", "log(sl_)", "cos(ta_)"]
    return movement.selection(cases=table, kind="step", terms=terms)


def test_coefficients_and_errors_are_those_of_survival_s_clogit(fitted):
    table = fitted.coefficients
    coefficients = [-0.462272860, 0.089254376, 0.091871491, 0.016670117, 0.003855599]
    errors = [0.068952309, 0.065508501, 0.051412875, 0.012716786, 0.023678135]
    assert table["coefficient"].tolist() == pytest.approx(coefficients, abs=1e-8)
    assert table["standard_error"].tolist() == pytest.approx(errors, abs=1e-8)


def test_likelihoods_and_aic_are_those_of_survival_s_clogit(fitted):
    assert fitted.log_likelihood_null == pytest.approx(-7738.609148, abs=1e-6)
    assert fitted.log_likelihood == pytest.approx(-7712.192086, abs=1e-6)
    assert fitted.aic == pytest.approx(15434.3842, abs=1e-4)
    assert (fitted.used, fitted.dropped) == (4319, 27)


def test_the_pronghorn_is_0_63_times_as_likely_to_take_a_step_that_crosses_a_fence(fitted):
    assert fitted.coefficients["relative_strength"][0] == pytest.approx(0.63, abs=0.005)


def test_tentative_steps_and_turns_are_those_of_amt_and_at_least_as_likely(shared):
    """amt's search ends near the most likely gamma distribution, and its turns take standing still for facing north."""
    table = pd.read_csv(shared / "data/movement/baba_pronghorn.csv")
    table = table[table["Animal.ID"] == "102_2014"]
    columns = {"animal": table["Animal.ID"], "time": pd.to_datetime(table["date"], utc=True)}
    points = gpd.points_from_xy(table["x_utm12n"], table["y_utm12n"], crs=32612)
    found = movement.selection(
        gpd.GeoDataFrame(columns, geometry=points), kind="integrated_step", n_control=1, validate="none"
    )
    value = found.movement.set_index("parameter")["tentative"]
    assert value["shape"] == pytest.approx(0.632558776, rel=1e-3)
    assert value["scale"] == pytest.approx(578.970248, rel=1e-3)
    assert value["kappa"] == pytest.approx(0.214058848, abs=0.003)
    lengths = np.hypot(table["x_utm12n"].diff(), table["y_utm12n"].diff()).dropna()
    lengths = lengths.where(lengths > 0, lengths[lengths > 0].min())
    ours, amt = (
        stats.gamma.logpdf(lengths, shape, scale=scale).sum()
        for shape, scale in ((value["shape"], value["scale"]), (0.632558776, 578.970248))
    )
    assert ours >= amt - 1e-6
