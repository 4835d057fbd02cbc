"""The public face of the room is its list, and importing it is light."""

import subprocess
import sys
import types

import linkways.spatial as spatial


def test_the_list_of_public_names_is_exact():
    public = {
        name
        for name, value in vars(spatial).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    # The function align hides the module of the same name, which is meant.
    assert public == set(spatial.__all__)


def test_importing_the_room_loads_no_heavy_library():
    code = (
        "import sys, linkways.spatial; "
        "print([name for name in ('xarray', 'geopandas', 'pandas', 'rasterio', 'rioxarray', 'scipy', 'numba', 'pyproj',"
        " 'shapely', 'pyogrio', 'nlmpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
