// A map over the offline base map: land, lakes, rivers and borders of Natural Earth. Nothing is asked from elsewhere.
import { element } from "./dom.js";
import { _, written } from "./words.js";
import * as maplibre from "./third_party/maplibre-gl.mjs";

export { element };

export const maplibregl = maplibre.default ?? maplibre;
const here = new URL(".", import.meta.url);
maplibregl.setWorkerUrl?.(new URL("third_party/maplibre-gl-worker.mjs", here).href);

const base = (name) => ({ type: "geojson", data: new URL(`third_party/basemap/${name}.json`, here).href });

export function absolute(path) {
  // braces of tile addresses must stay braces
  return location.origin + path;
}

export function style() {
  return {
    version: 8,
    sources: { land: base("land"), lakes: base("lakes"), rivers: base("rivers"), boundaries: base("boundaries") },
    layers: [
      { id: "sea", type: "background", paint: { "background-color": "#dbe6ea" } },
      { id: "land", type: "fill", source: "land", paint: { "fill-color": "#f5f3ec", "fill-outline-color": "#b9c4c6" } },
      { id: "lakes", type: "fill", source: "lakes", paint: { "fill-color": "#dbe6ea" } },
      { id: "rivers", type: "line", source: "rivers", minzoom: 2.5, paint: { "line-color": "#b5cdd6", "line-width": 0.7 } },
      { id: "boundaries", type: "line", source: "boundaries", paint: { "line-color": "#9aa5a8", "line-width": 0.8, "line-dasharray": [3, 2] } },
    ],
  };
}

export function makeMap(container, options = {}) {
  container.querySelector(".waiting")?.remove();
  const map = new maplibregl.Map({
    container,
    style: style(),
    center: [10, 20],
    zoom: 0.6,
    attributionControl: false,
    dragRotate: false,
    pitchWithRotate: false,
    renderWorldCopies: true,
    fadeDuration: 0,
    canvasContextAttributes: { preserveDrawingBuffer: true },
    locale: {
      "Map.Title": _("Map"),
      "NavigationControl.ZoomIn": _("Zoom in"),
      "NavigationControl.ZoomOut": _("Zoom out"),
      "Popup.Close": _("Close popup"),
    },
    ...options,
  });
  map.touchZoomRotate?.disableRotation();
  map.addControl(new maplibregl.NavigationControl({ showCompass: false }), "top-right");
  map.addControl(new maplibregl.ScaleControl({ maxWidth: 120 }), "bottom-left");
  map.once("load", () => performance.mark("linkways-map"));
  // for tests, and for those who look into the console
  container.linkwaysMap = map;
  return map;
}

// Say that the page has put everything on its map; once that is drawn the map's element carries data-idle.
export function ready(map) {
  map.once("idle", () => map.getContainer().setAttribute("data-idle", "yes"));
  map.triggerRepaint();
}

export function loaded(map) {
  return new Promise((done) => (map.loaded() || map.isStyleLoaded() ? done() : map.once("load", done)));
}

export function fit(map, bounds, padding = 30) {
  if (!bounds) return;
  const [west, south, east, north] = bounds;
  map.fitBounds([[west, south], [east < west ? east + 360 : east, north]], { padding, animate: false, maxZoom: 14 });
}

export function boundsOf(geojson) {
  let box = null;
  const add = (c) => {
    if (typeof c[0] === "number") {
      box = box ? [Math.min(box[0], c[0]), Math.min(box[1], c[1]), Math.max(box[2], c[0]), Math.max(box[3], c[1])] : [c[0], c[1], c[0], c[1]];
    } else c.forEach(add);
  };
  for (const feature of geojson.features) {
    if (feature.geometry?.coordinates) add(feature.geometry.coordinates);
  }
  return box;
}

export function union(boxes) {
  const known = boxes.filter(Boolean);
  if (!known.length) return null;
  return known.reduce((a, b) => [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[2], b[2]), Math.max(a[3], b[3])]);
}

function drawn(name, given, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(given)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

let numbered = 0;
export function legendOf(legend) {
  const box = element("div", { className: "legend" });
  if (legend.kind === "plain") return box;
  if (legend.heading) box.append(element("div", {}, legend.heading));
  if (legend.kind === "bar") {
    const tick = (stop) => written(stop.text, stop.value);
    const id = `ramp-${++numbered}`;
    const last = legend.stops.length - 1;
    const ramp = drawn("linearGradient", { id }, ...legend.stops.map((s, n) => drawn("stop", { offset: n / last, "stop-color": s.colour })));
    const label = _("from {low} to {high}", { low: tick(legend.stops[0]), high: tick(legend.stops[last]) });
    box.append(
      drawn("svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none", role: "img", "aria-label": label },
        drawn("defs", {}, ramp), drawn("rect", { width: 100, height: 6, fill: `url(#${id})` })));
    const beyond = { below: ["min", "both"].includes(legend.extend) ? "≤ " : "", above: ["max", "both"].includes(legend.extend) ? "≥ " : "" };
    box.append(element("div", { className: "ticks" },
      element("span", {}, beyond.below + tick(legend.stops[0])),
      element("span", {}, tick(legend.stops[last / 2])),
      element("span", {}, beyond.above + tick(legend.stops[last]))));
    return box;
  }
  box.append(element("ul", {}, ...legend.classes.map((one) =>
    element("li", {}, drawn("svg", { viewBox: "0 0 10 8", "aria-hidden": "true" }, drawn("rect", { width: 10, height: 8, fill: one.colour })), one.label))));
  if (legend.note) box.append(element("div", {}, legend.note));
  return box;
}

export async function getJson(path) {
  const answer = await fetch(path, { headers: { accept: "application/json" } });
  const data = await answer.json();
  if (!answer.ok) throw new Error(data.detail ?? answer.statusText);
  return data;
}

// Vector tiles out of PMTiles archives; the script that reads them is fetched when the first one is shown.
let reading;
export function tiled() {
  reading ??= new Promise((done, fail) => {
    const script = element("script", { src: new URL("third_party/pmtiles.js", here).href });
    script.addEventListener("load", () => {
      maplibregl.addProtocol("pmtiles", new window.pmtiles.Protocol().tile);
      done();
    });
    script.addEventListener("error", () => fail(new Error(script.src)));
    document.head.append(script);
  });
  return reading;
}
