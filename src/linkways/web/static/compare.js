// What differs between two runs: difference maps of rasters, and features that were added, removed or changed.
import { _, number } from "./words.js";
import { absolute, element, fit, getJson, legendOf, loaded, makeMap, maplibregl, ready } from "./map.js";
import { watchValues } from "./run.js";

const COLOURS = { added: "#009E73", removed: "#D55E00", changed: "#0072B2", was: "#7A7A7A" };
const NAMES = { added: _("added"), removed: _("removed"), changed: _("changed"), was: _("changed: as it was before") };
const IDS = ["difference", "difference fill", "difference line", "difference point"];

const box = document.getElementById("difference");
const which = document.getElementById("which");
if (box) {
  const container = box.querySelector(".map");
  const map = makeMap(container);
  const { before, after } = box.dataset;
  const [told] = await Promise.all([getJson(`/compare.json?before=${encodeURIComponent(before)}&after=${encodeURIComponent(after)}`), loaded(map)]);
  const layers = new Map(told.found.layers.filter((one) => one.subtractable || one.countable).map((one) => [one.name, one]));
  const show = () => {
    const layer = layers.get(which.value);
    for (const id of IDS) if (map.getLayer(id)) map.removeLayer(id);
    if (map.getSource("difference")) map.removeSource("difference");
    const legend = layer.countable ? { kind: "classes", classes: Object.keys(NAMES).map((kind) => ({ label: NAMES[kind], colour: COLOURS[kind] })) } : layer.legend;
    document.getElementById("legend").replaceChildren(legendOf(legend));
    document.getElementById("of-rasters").hidden = layer.countable;
    if (layer.countable) showFeatures(layer);
    else {
      map.addSource("difference", { type: "raster", tiles: [absolute(layer.tiles)], tileSize: 256, maxzoom: 16 });
      map.addLayer({ id: "difference", type: "raster", source: "difference", paint: { "raster-resampling": "nearest", "raster-fade-duration": 0 } });
    }
    fit(map, layer.bounds, 20);
  };
  const showFeatures = (layer) => {
    map.addSource("difference", { type: "geojson", data: absolute(layer.features) });
    const colour = ["match", ["get", "change"], ...Object.entries(COLOURS).flat(), "#111111"];
    const only = (type) => ["==", ["geometry-type"], type];
    map.addLayer({ id: IDS[1], type: "fill", source: "difference", filter: only("Polygon"), paint: { "fill-color": colour, "fill-opacity": ["match", ["get", "change"], "was", 0.08, 0.35] } });
    map.addLayer({ id: IDS[2], type: "line", source: "difference", filter: ["!=", ["geometry-type"], "Point"], paint: { "line-color": colour, "line-width": ["match", ["geometry-type"], "Polygon", 1.2, 3] } });
    map.addLayer({ id: IDS[3], type: "circle", source: "difference", filter: only("Point"), paint: { "circle-color": colour, "circle-radius": 5, "circle-stroke-color": "#fff", "circle-stroke-width": 1 } });
  };
  map.on("click", (event) => {
    const ids = IDS.slice(1).filter((id) => map.getLayer(id));
    const near = [[event.point.x - 4, event.point.y - 4], [event.point.x + 4, event.point.y + 4]];
    const [found] = ids.length ? map.queryRenderedFeatures(near, { layers: ids }) : [];
    if (!found) return;
    const { change, label, differs } = found.properties;
    const said = (value) => (typeof value === "number" ? number(value) : String(value ?? "–").slice(0, 80));
    const rows = Object.entries(JSON.parse(differs)).slice(0, 12).map(([name, [old, now]]) =>
      element("tr", {}, element("th", { scope: "row" }, name.replaceAll("_", " ")), element("td", {}, `${said(old)} → ${said(now)}`)));
    const card = element("div", {}, element("h3", {}, label), NAMES[change] ?? change, element("table", {}, element("tbody", {}, ...rows)));
    new maplibregl.Popup({ maxWidth: "22rem" }).setLngLat(event.lngLat).setDOMContent(card).addTo(map);
  });
  which.addEventListener("change", show);
  show();
  ready(map);
  watchValues(map, box.querySelector(".reading"), box, () => [layers.get(which.value)].filter((one) => one.subtractable), container);
}
