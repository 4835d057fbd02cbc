// The map explorer: solutions on the map, and the list beside it.
import { boundsOf, element, fit, getJson, loaded, makeMap, maplibregl, ready } from "./map.js";

const container = document.getElementById("explorer");
const form = document.getElementById("search");
for (const box of form.querySelectorAll(".facets input[type=checkbox], #order")) box.addEventListener("change", () => form.requestSubmit());

if (container) {
  const map = makeMap(container);
  const [places] = await Promise.all([getJson(container.dataset.places), loaded(map)]);
  map.addSource("places", { type: "geojson", data: places });
  map.addLayer({ id: "outlines", type: "fill", source: "places", filter: ["==", ["get", "part"], "outline"], paint: { "fill-color": "#14594a", "fill-opacity": 0.08 } });
  map.addLayer({ id: "edges", type: "line", source: "places", filter: ["==", ["get", "part"], "outline"], paint: { "line-color": "#14594a", "line-width": 1, "line-opacity": 0.6 } });
  map.addLayer({ id: "points", type: "circle", source: "places", filter: ["==", ["get", "part"], "point"],
    paint: { "circle-radius": 7, "circle-color": "#14594a", "circle-stroke-color": "#fff", "circle-stroke-width": 2 } });
  fit(map, boundsOf(places), 40);
  ready(map);
  map.on("mouseenter", "points", () => (map.getCanvas().style.cursor = "pointer"));
  map.on("mouseleave", "points", () => (map.getCanvas().style.cursor = ""));
  map.on("click", "points", (event) => {
    const about = event.features[0].properties;
    const card = element("div", {}, element("h3", {}, element("a", { href: `/solutions/${about.id}` }, about.title)), about.place);
    new maplibregl.Popup({ maxWidth: "20rem" }).setLngLat(event.lngLat).setDOMContent(card).addTo(map);
  });
  document.getElementById("here").addEventListener("click", () => {
    const box = map.getBounds();
    const turn = (x) => ((((x + 180) % 360) + 360) % 360) - 180;
    const wide = box.getEast() - box.getWest() >= 359;
    const sides = [wide ? -180 : turn(box.getWest()), Math.max(-90, box.getSouth()), wide ? 180 : turn(box.getEast()), Math.min(90, box.getNorth())];
    document.getElementById("bbox").value = sides.map((side) => side.toFixed(3)).join(",");
    form.requestSubmit();
  });
}
