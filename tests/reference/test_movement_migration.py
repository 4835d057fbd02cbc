"""Models of net squared displacement for 15 collars from Sublette County, against fits made once with R.

The expected numbers were made once with R, for the first fix of every UTC day, with the bounds of Spitz (2017).
"""

import pytest

from linkways import movement, spatial

R = {
    "317": {"theta": 60.957, "phi": 10.493, "delta": 5125.50, "rho": 120.389, "phi2": 19.2145, "aic": 5052.597},
    "355": {"theta": 92.130, "phi": 6.252, "delta": 2289.113, "rho": 143.857, "phi2": 6.180, "aic": 4768.498},
    "358": {"theta": 86.070, "phi": 2.4865, "delta": 4936.553, "rho": 179.562, "phi2": 1.8201, "aic": 4481.115},
}


@pytest.fixture(scope="module")
def tracks(shared):
    table = spatial.read_table(shared / "data" / "movement" / "migrationmapper_sublette_gps.csv.gz")
    return movement.tracks(table, x_column="x_utm12n", y_column="y_utm12n", xy_crs="EPSG:32612").fixes


@pytest.fixture(scope="module")
def found(tracks):
    return movement.migration(tracks)


def test_every_animal_is_a_migrant_and_one_a_mixed_migrant(found):
    best = found.models[found.models["best"]].set_index("animal")["model"]
    assert len(best) == 15
    assert best.pop("346") == "mixed migrant"
    assert set(best) == {"migrant"}


@pytest.mark.parametrize("animal", R)
def test_parameters_are_those_of_r(found, animal):
    row = found.models.query("animal == @animal and model == 'migrant'").iloc[0]
    for name, value in R[animal].items():
        assert row[name] == pytest.approx(value, rel=2e-4 if name != "aic" else 1e-6), name


def test_the_sum_of_squares_is_at_most_that_of_r(found):
    row = found.models.query("animal == '317' and model == 'migrant'").iloc[0]
    assert row["rss"] <= 61803322.5 * (1 + 1e-9)


def test_the_largest_displacement_and_its_day(found):
    year = found.years.query("animal == '317'").iloc[0]
    assert year["max_nsd_km2"] == pytest.approx(5125.49894, abs=5e-6)
    assert year["max_nsd_date"] == "2007-06-04"


def test_no_random_start_finds_a_better_fit_than_the_grid_of_starts(tracks):
    """300 random starts for each year and model; a valley that the grid does not see would show as a lower sum."""
    import numpy as np

    from linkways.movement import _displacement as nsd
    from linkways.movement._fixes import fixes_of
    from linkways.movement._migration_kernels import MIGRANT, MIXED, fit_from

    rng = np.random.default_rng(20)
    low, high = np.array([1.0, 1, 1, 1]), np.array([364.0, 21, 364, 21])
    years = [year for year in nsd.animal_years(fixes_of(tracks), 2, 1) if year.span > 270]
    for year in years[::3]:
        fits = {fit.model: fit.rss for fit in nsd.fit_models(year)}
        starts = rng.uniform(low, high, (300, 4))
        for model, code in (("migrant", MIGRANT), ("mixed migrant", MIXED)):
            best = fit_from(code, year.days, year.nsd_km2, starts, low, high, year.nsd_km2.max())[6]
            assert fits[model] <= best * (1 + 1e-9), (year.animal, model)


def test_every_animal_migrates_in_spring_and_in_autumn_by_models_and_by_contrast(tracks, found):
    contrast = movement.migration(tracks, how="contrast")
    for result in (found, contrast):
        assert result.migration_count == 30
        assert result.migrating_animals == 15
        assert (result.migrations.groupby("animal")["season"].agg(list).map(list) == [["spring", "autumn"]] * 15).all()
    assert set(found.sequences["sequence"]) >= {"317_sp07", "317_fa07", "373_sp10"}
    # the two ways tell the same migrations: their windows overlap
    both = found.migrations.merge(contrast.migrations, on="sequence")
    assert len(both) == 30
    assert ((both["start_x"] < both["end_y"]) & (both["start_y"] < both["end_x"])).all()
