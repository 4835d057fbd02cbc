// The layers of a run on the map: legend, opacity, value under the cursor, features on a click.
import { _, number } from "./words.js";
import { absolute, element, fit, getJson, legendOf, loaded, makeMap, maplibregl, ready, tiled, union } from "./map.js";

for (const box of document.querySelectorAll(".run-map[data-run]")) show(box);

async function show(box) {
  const container = box.querySelector(".map");
  const say = box.querySelector(".reading");
  const map = makeMap(container);
  let told;
  try {
    [told] = await Promise.all([getJson(`/runs/${box.dataset.run}/layers.json`), loaded(map)]);
  } catch (error) {
    say.textContent = error.message;
    return;
  }
  const layers = new Map(told.layers.map((layer) => [layer.name, layer]));
  const firstMap = told.maps[Number(box.dataset.map)] ?? { layers: told.layers.slice(0, 1).map((one) => one.name) };
  const panel = box.querySelector(".layers");
  const rows = new Map();

  if (told.maps.length > 1) {
    const choose = element("select", { ariaLabel: _("Map of the report") }, ...told.maps.map((one, n) => element("option", { value: n }, one.title || _("Map {number}", { number: n + 1 }))));
    choose.value = String(Math.min(Number(box.dataset.map), told.maps.length - 1));
    choose.addEventListener("change", () => useMap(told.maps[Number(choose.value)]));
    panel.append(choose);
  }
  const caption = element("p", { className: "small" });
  panel.append(caption);
  const shownFirst = [...firstMap.layers];
  const order = [...told.layers].sort((a, b) => rank(a) - rank(b));
  for (const layer of order) panel.append(row(layer));
  function rank(layer) {
    const place = shownFirst.indexOf(layer.name);
    return place < 0 ? 1000 : place;
  }

  function row(layer) {
    const tick = element("input", { type: "checkbox" });
    const slide = element("input", { type: "range", min: 0, max: 1, step: 0.05, value: layer.kind === "raster" ? 0.85 : 1 });
    slide.setAttribute("aria-label", _("Opacity of {layer}", { layer: layer.title }));
    const legend = layer.kind === "vector" && !layer.column ? { kind: "classes", heading: "", classes: [{ label: layer.title, colour: colourOf(layer) }] } : layer.legend;
    const more = element("div", { className: "more", hidden: true }, legendOf(legend), element("label", {}, _("Opacity"), slide));
    const title = element("label", {}, tick, layer.title, element("small", {}, ` ${layer.name}`));
    title.title = layer.doc;
    if (layer.simulated) more.prepend(element("span", { className: "stamp" }, _("simulated")));
    tick.addEventListener("change", () => set(layer.name, tick.checked));
    slide.addEventListener("input", () => opacity(layer, Number(slide.value)));
    rows.set(layer.name, { tick, slide, more });
    return element("div", { className: "layer" }, title, more);
  }

  async function set(name, on) {
    const layer = layers.get(name);
    const { tick, more, slide } = rows.get(name);
    tick.checked = on;
    more.hidden = !on;
    if (!on) {
      for (const id of idsOf(layer)) if (map.getLayer(id)) map.removeLayer(id);
      return;
    }
    if (map.getLayer(idsOf(layer)[0])) return;
    if (layer.pmtiles) await prepared(layer);
    if (!tick.checked || map.getLayer(idsOf(layer)[0])) return;
    if (!map.getSource(name)) map.addSource(name, sourceOf(layer));
    addLayers(layer, Number(slide.value));
  }

  // the first time a large layer is shown, the server cuts it into tiles
  async function prepared(layer) {
    say.textContent = _("Preparing {layer} for the map …", { layer: layer.title });
    await Promise.all([tiled(), fetch(layer.pmtiles, { headers: { range: "bytes=0-0" } })]);
    say.textContent = "";
  }

  function sourceOf(layer) {
    if (layer.pmtiles) return { type: "vector", url: `pmtiles://${absolute(layer.pmtiles)}` };
    if (layer.kind === "vector") return { type: "geojson", data: absolute(layer.features) };
    return { type: "raster", tiles: [absolute(layer.tiles)], tileSize: 256, bounds: clamp(layer.bounds), maxzoom: 16 };
  }

  function idsOf(layer) {
    return layer.kind === "raster" ? [layer.name] : ["fill", "line", "point"].map((part) => `${layer.name} ${part}`);
  }

  function addLayers(layer, alpha) {
    if (layer.kind === "raster") {
      // below all features
      const above = map.getStyle().layers.find((one) => / (fill|line|point)$/.test(one.id));
      map.addLayer({ id: layer.name, type: "raster", source: layer.name, paint: { "raster-opacity": alpha, "raster-resampling": "nearest", "raster-fade-duration": 0 } }, above?.id);
      return;
    }
    const colour = colourOf(layer);
    const only = (type) => ["==", ["geometry-type"], type];
    const [fill, line, point] = idsOf(layer);
    const from = layer.pmtiles ? { source: layer.name, "source-layer": layer.name } : { source: layer.name };
    map.addLayer({ id: fill, type: "fill", ...from, filter: only("Polygon"), paint: { "fill-color": colour, "fill-opacity": alpha * (layer.column ? 0.75 : 0.3) } });
    map.addLayer({ id: line, type: "line", ...from, filter: ["!=", ["geometry-type"], "Point"],
      paint: { "line-color": colour, "line-opacity": alpha, "line-width": ["match", ["geometry-type"], "Polygon", 0.8, 2] } });
    map.addLayer({ id: point, type: "circle", ...from, filter: only("Point"),
      paint: { "circle-color": colour, "circle-opacity": alpha, "circle-radius": 4.5, "circle-stroke-color": "#fff", "circle-stroke-width": 1, "circle-stroke-opacity": alpha } });
  }

  function opacity(layer, alpha) {
    if (layer.kind === "raster") {
      if (map.getLayer(layer.name)) map.setPaintProperty(layer.name, "raster-opacity", alpha);
      return;
    }
    const [fill, line, point] = idsOf(layer);
    if (!map.getLayer(fill)) return;
    map.setPaintProperty(fill, "fill-opacity", alpha * (layer.column ? 0.75 : 0.3));
    map.setPaintProperty(line, "line-opacity", alpha);
    map.setPaintProperty(point, "circle-opacity", alpha);
    map.setPaintProperty(point, "circle-stroke-opacity", alpha);
  }

  async function useMap(chosen) {
    caption.textContent = chosen.caption ?? "";
    for (const name of layers.keys()) if (!chosen.layers.includes(name)) set(name, false);
    for (const name of chosen.layers) await set(name, true);
  }

  fit(map, union(firstMap.layers.map((name) => layers.get(name)?.bounds)) ?? union(told.layers.map((one) => one.bounds)), 20);
  watchValues(map, say, box, () => told.layers.filter((layer) => layer.kind === "raster" && rows.get(layer.name).tick.checked), container);
  map.on("click", (event) => describe(event));
  await useMap(firstMap);
  ready(map);

  async function describe(event) {
    const shown = told.layers.filter((layer) => layer.kind === "vector" && rows.get(layer.name).tick.checked);
    const near = [[event.point.x - 4, event.point.y - 4], [event.point.x + 4, event.point.y + 4]];
    const ids = shown.flatMap(idsOf).filter((id) => map.getLayer(id));
    const found = ids.length ? map.queryRenderedFeatures(near, { layers: ids }) : [];
    if (!found.length) return;
    const layer = layers.get(found[0].source);
    // tiles carry only what the map is drawn by
    const whole = layer.pmtiles ? await getJson(`${layer.feature}/${found[0].properties._row}`) : found[0];
    const facts = Object.entries(whole.properties).filter(([name]) => name !== "_row").slice(0, 14);
    const table = element("table", {}, element("tbody", {}, ...facts.map(([name, value]) => element("tr", {}, element("th", { scope: "row" }, name.replaceAll("_", " ")), element("td", {}, shorten(value))))));
    new maplibregl.Popup({ maxWidth: "22rem" }).setLngLat(event.lngLat).setDOMContent(element("div", {}, element("h3", {}, layer.title), table)).addTo(map);
  }
}

function shorten(value) {
  return typeof value === "number" ? number(value) : String(value ?? "").slice(0, 80);
}

function clamp([west, south, east, north]) {
  return [Math.max(west, -180), Math.max(south, -85), Math.min(east, 180), Math.min(north, 85)];
}

const PLAIN = ["#D55E00", "#0072B2", "#111111", "#AA4499", "#009E73"];
const given = new Map();
function colourOf(layer) {
  const { legend, column } = layer;
  if (!column) {
    if (!given.has(layer.name)) given.set(layer.name, PLAIN[given.size % PLAIN.length]);
    return given.get(layer.name);
  }
  if (legend.kind === "bar") {
    const value = ["to-number", ["get", column], legend.stops[0].value];
    const stops = legend.stops.filter((stop, n) => n === 0 || stop.value > legend.stops[n - 1].value);
    if (stops.length < 2) return stops[0].colour;
    return ["case", ["==", ["typeof", ["get", column]], "number"], ["interpolate", ["linear"], value, ...stops.flatMap((stop) => [stop.value, stop.colour])], "#BBBBBB"];
  }
  return ["match", ["to-string", ["get", column]], ...legend.classes.flatMap((one) => [String(one.code), one.colour]), "#BBBBBB"];
}

export function watchValues(map, say, box, rasters, container) {
  let timer;
  let asked = 0;
  const read = async (place) => {
    const mine = ++asked;
    const shown = rasters();
    if (!shown.length) return;
    const { lng, lat } = place.wrap();
    const found = await Promise.all(shown.map((layer) => getJson(`${layer.value}?lon=${lng.toFixed(6)}&lat=${lat.toFixed(6)}`).catch((error) => ({ text: error.message }))));
    if (mine !== asked) return;
    say.replaceChildren(`${lat.toFixed(3)}, ${lng.toFixed(3)}. `, ...found.flatMap((one, n) => [n ? "; " : "", `${shown[n].title}: `, element("b", {}, one.text)]));
  };
  map.on("mousemove", (event) => {
    clearTimeout(timer);
    timer = setTimeout(() => read(event.lngLat), 150);
  });
  box.querySelector(".read-centre")?.addEventListener("click", () => read(map.getCenter()));
  container.readAt = read;
}
