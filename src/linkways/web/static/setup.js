// The box over the built-in layers, drawn on the map or written in its field; a chosen file chooses its button.
import { fit, loaded, makeMap, ready } from "./map.js";

for (const field of document.querySelectorAll("[data-chooses]")) {
  field.addEventListener("change", () => {
    const value = field.type === "file" ? "upload" : "server";
    const radio = document.querySelector(`input[type=radio][name="${CSS.escape(field.dataset.chooses)}"][value="${value}"]`);
    if (radio && field.value) radio.checked = true;
  });
}

const container = document.getElementById("box-map");
const field = document.getElementById("f-box");
if (container && field) {
  const map = makeMap(container);
  const read = () => {
    const sides = field.value.split(",").map(Number);
    return sides.length === 4 && sides.every(Number.isFinite) ? sides : null;
  };
  const shape = (sides) => {
    if (!sides) return { type: "FeatureCollection", features: [] };
    const [west, south, east, north] = sides;
    const far = east < west ? east + 360 : east;
    return { type: "Feature", properties: {}, geometry: { type: "Polygon", coordinates: [[[west, south], [far, south], [far, north], [west, north], [west, south]]] } };
  };
  await loaded(map);
  map.addSource("box", { type: "geojson", data: shape(read()) });
  map.addLayer({ id: "box fill", type: "fill", source: "box", paint: { "fill-color": "#D55E00", "fill-opacity": 0.12 } });
  map.addLayer({ id: "box line", type: "line", source: "box", paint: { "line-color": "#D55E00", "line-width": 2 } });
  fit(map, read(), 40);
  ready(map);
  field.addEventListener("input", () => map.getSource("box").setData(shape(read())));

  const button = document.getElementById("draw-box");
  let from = null;
  const drawing = () => button.getAttribute("aria-pressed") === "true";
  button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", String(!drawing()));
    map.getCanvas().style.cursor = drawing() ? "crosshair" : "";
    map.dragPan[drawing() ? "disable" : "enable"]();
  });
  const corner = (event) => [event.lngLat.lng, Math.max(-85, Math.min(85, event.lngLat.lat))];
  const turn = (x) => ((((x + 180) % 360) + 360) % 360) - 180;
  const sides = (a, b) => [turn(Math.min(a[0], b[0])), Math.min(a[1], b[1]), turn(Math.max(a[0], b[0])), Math.max(a[1], b[1])].map((x) => Number(x.toFixed(3)));
  const start = (event) => drawing() && (from = corner(event));
  const move = (event) => from && map.getSource("box").setData(shape(sides(from, corner(event))));
  const end = (event) => {
    if (!from) return;
    const box = sides(from, corner(event));
    from = null;
    if (box[0] === box[2] || box[1] === box[3]) return;
    field.value = box.join(", ");
    map.getSource("box").setData(shape(box));
    button.click();
  };
  for (const [name, does] of [["mousedown", start], ["mousemove", move], ["mouseup", end], ["touchstart", start], ["touchmove", move], ["touchend", end]]) map.on(name, does);
}
