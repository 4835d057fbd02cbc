// The place of a solution.
import { boundsOf, fit, getJson, loaded, makeMap, ready } from "./map.js";

const container = document.getElementById("place");
if (container) {
  const map = makeMap(container);
  const [places] = await Promise.all([getJson(container.dataset.places), loaded(map)]);
  map.addSource("place", { type: "geojson", data: places });
  map.addLayer({ id: "area", type: "fill", source: "place", filter: ["==", ["get", "part"], "outline"], paint: { "fill-color": "#14594a", "fill-opacity": 0.18 } });
  map.addLayer({ id: "edge", type: "line", source: "place", filter: ["==", ["get", "part"], "outline"], paint: { "line-color": "#14594a", "line-width": 1.5 } });
  const box = boundsOf(places);
  if (box) {
    fit(map, box, 20);
    // some of the land around, so that readers see where they are
    map.setZoom(Math.max(0, Math.min(map.getZoom() - 0.6, 8)));
  }
  ready(map);
}
