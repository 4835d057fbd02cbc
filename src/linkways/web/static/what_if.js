// Drawing changes on a run's map; each becomes an entry of the list that is sent.
import { _, number } from "./words.js";
import { absolute, element, fit, getJson, loaded, makeMap, ready, tiled, union } from "./map.js";

const form = document.getElementById("what-if");
const [kind, input, value, corners] = ["kind", "input", "value", "coordinates"].map((id) => document.getElementById(id));
const say = document.getElementById("draw-say");
const buttons = Object.fromEntries(["draw", "finish", "undo", "add"].map((id) => [id, document.getElementById(id)]));
const map = makeMap(document.getElementById("draw-map"));
const run = form.dataset.run;
let points = [];
const changes = [];
const option = () => kind.selectedOptions[0];
const shapeOf = () => option().dataset.shape;

const [told] = await Promise.all([getJson(`/runs/${run}/layers.json`), loaded(map)]);
const main = told.maps[0]?.layers ?? told.layers.slice(0, 1).map((one) => one.name);
for (const layer of told.layers.filter((one) => main.includes(one.name))) {
  if (layer.kind === "raster") {
    map.addSource(layer.name, { type: "raster", tiles: [absolute(layer.tiles)], tileSize: 256 });
    map.addLayer({ id: layer.name, type: "raster", source: layer.name, paint: { "raster-opacity": 0.75, "raster-resampling": "nearest", "raster-fade-duration": 0 } });
  } else {
    if (layer.pmtiles) await tiled();
    map.addSource(layer.name, layer.pmtiles ? { type: "vector", url: `pmtiles://${absolute(layer.pmtiles)}` } : { type: "geojson", data: absolute(layer.features) });
    const part = layer.pmtiles ? { "source-layer": layer.name } : {};
    map.addLayer({ id: layer.name, type: "line", source: layer.name, ...part, paint: { "line-color": "#444", "line-width": 1 } });
  }
}
const empty = { type: "FeatureCollection", features: [] };
for (const [name, colour] of [["changes", "#0072B2"], ["drawn", "#D55E00"]]) {
  map.addSource(name, { type: "geojson", data: empty });
  map.addLayer({ id: `${name} fill`, type: "fill", source: name, filter: ["==", ["geometry-type"], "Polygon"], paint: { "fill-color": colour, "fill-opacity": 0.25 } });
  map.addLayer({ id: `${name} casing`, type: "line", source: name, filter: ["!=", ["geometry-type"], "Point"], paint: { "line-color": "#fff", "line-width": 7 } });
  map.addLayer({ id: `${name} line`, type: "line", source: name, filter: ["!=", ["geometry-type"], "Point"], paint: { "line-color": colour, "line-width": 3 } });
  map.addLayer({ id: `${name} point`, type: "circle", source: name, filter: ["==", ["geometry-type"], "Point"], paint: { "circle-color": colour, "circle-radius": 5, "circle-stroke-color": "#fff", "circle-stroke-width": 1.5 } });
}
fit(map, union(told.layers.map((one) => one.bounds)), 20);

function geometry() {
  const places = read();
  if (shapeOf() === "line") return places.length > 1 ? { type: "LineString", coordinates: places } : null;
  return places.length > 2 ? { type: "Polygon", coordinates: [[...places, places[0]]] } : null;
}
function read() {
  return corners.value.split(";").map((pair) => pair.trim().split(/[\s,]+/).map(Number)).filter((pair) => pair.length === 2 && pair.every(Number.isFinite));
}
function redraw() {
  if (shapeOf() === "feature") return;
  const shape = geometry();
  const features = read().map((place) => ({ type: "Feature", properties: {}, geometry: { type: "Point", coordinates: place } }));
  if (shape) features.push({ type: "Feature", properties: {}, geometry: shape });
  map.getSource("drawn").setData({ type: "FeatureCollection", features });
}
function put() {
  corners.value = points.map((place) => place.map((x) => x.toFixed(5)).join(" ")).join("; ");
  redraw();
  buttons.undo.hidden = !points.length;
  buttons.finish.hidden = points.length < (shapeOf() === "line" ? 2 : 3);
}
function clear() {
  points = [];
  corners.value = "";
  map.getSource("drawn").setData(empty);
  buttons.undo.hidden = buttons.finish.hidden = true;
}
const drawing = () => buttons.draw.getAttribute("aria-pressed") === "true";
function setDrawing(on) {
  buttons.draw.setAttribute("aria-pressed", String(on));
  map.getCanvas().style.cursor = on ? "crosshair" : "";
  const what = { line: _("Click corner after corner; then finish the shape."), polygon: _("Click the corners of the area; then finish the shape."), feature: _("Click what is removed.") };
  say.textContent = on ? what[shapeOf()] : "";
}

async function setKind() {
  const targets = JSON.parse(option().dataset.inputs);
  input.replaceChildren(...targets.map((name) => element("option", { value: name }, name)));
  document.getElementById("value-field").hidden = ["fence", "protect", "remove"].includes(kind.value);
  if (kind.value === "road") value.value = "100";
  if (kind.value === "crossing") value.value = "1";
  setClasses();
  clear();
  buttons.draw.textContent = shapeOf() === "feature" ? _("Choose on the map") : _("Draw on the map");
  setDrawing(false);
  if (map.getLayer("choices")) map.removeLayer("choices");
  if (map.getSource("choices")) map.removeSource("choices");
  if (shapeOf() === "feature") {
    map.addSource("choices", { type: "geojson", data: absolute(`/runs/${run}/inputs/${input.value}.geojson`) });
    map.addLayer({ id: "choices", type: "circle", source: "choices", paint: { "circle-color": "#111", "circle-radius": 6, "circle-stroke-color": "#fff", "circle-stroke-width": 2 } });
  }
}
function setClasses() {
  const classes = JSON.parse(option().dataset.classes)[input.value] ?? [];
  document.getElementById("classes").replaceChildren(...classes.map((one) => element("option", { value: one.value }, one.label)));
  if (kind.value === "restore" && classes.length) value.value = String(classes[0].value);
  document.getElementById("value-doc").textContent = classes.length && kind.value === "restore"
    ? _("What the land becomes: {classes}", { classes: classes.map((one) => `${one.value} ${one.label}`).join(", ") })
    : _("The resistance of a road or crossing, or the value that land becomes.");
}

kind.addEventListener("change", setKind);
input.addEventListener("change", setClasses);
corners.addEventListener("input", redraw);
buttons.draw.addEventListener("click", () => setDrawing(!drawing()));
buttons.undo.addEventListener("click", () => { points.pop(); put(); });
buttons.finish.addEventListener("click", () => { setDrawing(false); add(); });
buttons.add.addEventListener("click", add);
map.on("click", (event) => {
  if (!drawing()) return;
  if (shapeOf() === "feature") {
    const near = [[event.point.x - 6, event.point.y - 6], [event.point.x + 6, event.point.y + 6]];
    const found = map.queryRenderedFeatures(near, { layers: ["choices"] });
    if (found.length) {
      const rows = new Set(corners.value.split(",").map((x) => x.trim()).filter(Boolean));
      rows.add(String(found[0].properties._row));
      corners.value = [...rows].join(", ");
      say.textContent = _("{count} chosen.", { count: rows.size });
    }
    return;
  }
  points.push([event.lngLat.lng, event.lngLat.lat]);
  put();
});

function add() {
  const change = { kind: kind.value, input: input.value };
  if (shapeOf() === "feature") {
    change.rows = corners.value.split(",").map((x) => x.trim()).filter(Boolean).map(Number);
    if (!change.rows.length) return void (say.textContent = _("Choose what is removed first."));
  } else {
    change.geometry = geometry();
    if (!change.geometry) return void (say.textContent = _("Draw the shape first, or write its corners."));
    if (!["fence", "protect"].includes(kind.value)) change.value = Number(value.value);
  }
  changes.push(change);
  clear();
  list();
}
function kindNamed(kind) {
  const names = { road: _("road"), fence: _("fence"), crossing: _("crossing"), restore: _("restore"), protect: _("protect"), remove: _("remove") };
  return names[kind] ?? kind;
}
function list() {
  const box = document.getElementById("changes");
  box.replaceChildren(...changes.map((one, n) => {
    const kindName = kindNamed(one.kind);
    const what = one.value === undefined ? kindName : `${kindName} (${one.value})`;
    const text = one.rows ? _("{change}: {rows} of {input}", { change: kindName, rows: one.rows.join(", "), input: one.input }) : _("{change} on {input}", { change: what, input: one.input });
    const gone = element("button", { type: "button", className: "quiet small" }, _("Remove"));
    gone.setAttribute("aria-label", _("Remove {change}", { change: text }));
    gone.addEventListener("click", () => { changes.splice(n, 1); list(); });
    return element("li", {}, text, gone);
  }));
  if (!changes.length) box.append(element("li", { className: "small" }, _("None added yet.")));
  document.getElementById("edits").value = changes.length ? JSON.stringify(changes) : "";
  const features = changes.filter((one) => one.geometry).map((one) => ({ type: "Feature", properties: {}, geometry: one.geometry }));
  map.getSource("changes").setData({ type: "FeatureCollection", features });
  answer();
}

// What the changes change, told at once; a newer question makes an older answer worthless.
let asked = 0;
const shown = (x) => (x === null ? "" : number(x));
async function answer() {
  const box = document.getElementById("answer");
  const told = document.getElementById("answer-say");
  const number = ++asked;
  box.hidden = !changes.length;
  if (!changes.length) return;
  told.textContent = told.dataset.computing;
  const data = new FormData(form);
  const answered = await fetch(`/runs/${run}/what-if/now`, { method: "POST", body: data, headers: { accept: "application/json" } });
  const found = await answered.json();
  if (number !== asked) return;
  if (!answered.ok) return void (told.textContent = found.detail);
  const left = found.left_out.length ? ` ${told.dataset.left} ${found.left_out.join(", ")}` : "";
  told.textContent = `${found.computed.join(", ")}: ${found.seconds.toFixed(1)} s.${left}`;
  document.getElementById("answer-rows").replaceChildren(...found.indicators.map((one) => {
    const change = one.before === null || one.after === null ? null : one.after - one.before;
    const share = change === null || !one.before ? "" : ` (${change > 0 ? "+" : ""}${((100 * change) / Math.abs(one.before)).toPrecision(3)} %)`;
    return element("tr", { className: change ? "changed" : "" },
      element("td", { className: "words" }, one.doc, " ", element("small", {}, `${one.id}${one.unit ? `, ${one.unit}` : ""}`)),
      element("td", {}, shown(one.before)), element("td", {}, shown(one.after)),
      element("td", {}, change ? `${change > 0 ? "+" : ""}${shown(change)}${share}` : "0"));
  }));
}
form.addEventListener("submit", () => {
  if (corners.value.trim()) add();
});
await setKind();
ready(map);
