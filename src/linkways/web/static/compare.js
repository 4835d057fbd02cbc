// The difference map of two runs.
import { absolute, fit, getJson, legendOf, loaded, makeMap, ready } from "./map.js";
import { watchValues } from "./run.js";

const box = document.getElementById("difference");
const which = document.getElementById("which");
if (box) {
  const container = box.querySelector(".map");
  const map = makeMap(container);
  const { before, after } = box.dataset;
  const [told] = await Promise.all([getJson(`/compare.json?before=${encodeURIComponent(before)}&after=${encodeURIComponent(after)}`), loaded(map)]);
  const layers = new Map(told.found.layers.filter((one) => one.subtractable).map((one) => [one.name, one]));
  const show = () => {
    const layer = layers.get(which.value);
    if (map.getLayer("difference")) map.removeLayer("difference");
    if (map.getSource("difference")) map.removeSource("difference");
    map.addSource("difference", { type: "raster", tiles: [absolute(layer.tiles)], tileSize: 256, maxzoom: 16 });
    map.addLayer({ id: "difference", type: "raster", source: "difference", paint: { "raster-resampling": "nearest", "raster-fade-duration": 0 } });
    document.getElementById("legend").replaceChildren(legendOf(layer.legend));
    fit(map, layer.bounds, 20);
  };
  which.addEventListener("change", show);
  show();
  ready(map);
  watchValues(map, box.querySelector(".reading"), box, () => [layers.get(which.value)], container);
}
