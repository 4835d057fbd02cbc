// The map explorer: solutions on the map, and the list beside it.
import { boundsOf, element, fit, getJson, loaded, makeMap, maplibregl, ready } from "./map.js";

const container = document.getElementById("explorer");
const form = document.getElementById("search");
for (const box of form.querySelectorAll(".facets input[type=checkbox], #order")) box.addEventListener("change", () => form.requestSubmit());

if (container) {
  const map = makeMap(container);
  const [places] = await Promise.all([getJson(container.dataset.places), loaded(map)]);
  const part = (name) => ({ type: "FeatureCollection", features: places.features.filter((one) => one.properties.part === name) });
  map.addSource("outlines", { type: "geojson", data: part("outline") });
  map.addSource("places", { type: "geojson", data: part("point"), cluster: true, clusterRadius: 34, clusterMaxZoom: 9 });
  map.addLayer({ id: "outlines", type: "fill", source: "outlines", paint: { "fill-color": "#14594a", "fill-opacity": 0.08 } });
  map.addLayer({ id: "edges", type: "line", source: "outlines", paint: { "line-color": "#14594a", "line-width": 1, "line-opacity": 0.6 } });
  map.addLayer({ id: "points", type: "circle", source: "places", filter: ["!", ["has", "point_count"]],
    paint: { "circle-radius": 7, "circle-color": "#14594a", "circle-stroke-color": "#fff", "circle-stroke-width": 2 } });
  map.addLayer({ id: "clusters", type: "circle", source: "places", filter: ["has", "point_count"],
    paint: { "circle-radius": ["step", ["get", "point_count"], 11, 10, 14, 100, 18, 1000, 22], "circle-color": "#14594a", "circle-stroke-color": "#fff", "circle-stroke-width": 2 } });
  map.addLayer({ id: "counts", type: "symbol", source: "places", filter: ["has", "point_count"],
    layout: { "text-field": ["get", "point_count_abbreviated"], "text-font": ["sans-serif"], "text-size": 12, "text-allow-overlap": true },
    paint: { "text-color": "#fff" } });
  fit(map, boundsOf(places), 40);
  ready(map);
  for (const layer of ["points", "clusters"]) {
    map.on("mouseenter", layer, () => (map.getCanvas().style.cursor = "pointer"));
    map.on("mouseleave", layer, () => (map.getCanvas().style.cursor = ""));
  }
  map.on("click", "clusters", async (event) => {
    const { geometry, properties } = event.features[0];
    const zoom = await map.getSource("places").getClusterExpansionZoom(properties.cluster_id);
    map.easeTo({ center: geometry.coordinates, zoom: Math.min(zoom + 0.3, 12), animate: false });
  });
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
