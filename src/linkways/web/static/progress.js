// A run at work: steps, log and state as they come, until it has ended.
import { element } from "./dom.js";

const watch = document.getElementById("watch");
const say = document.getElementById("say");
const steps = document.getElementById("steps");
const all = document.getElementById("all");
const rows = new Map();
let log = document.getElementById("log");
let after = Number(log?.lastElementChild?.dataset.number ?? 0);
let spoken = "";

function clock(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 60) return `${Math.round(seconds)} s left`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s left`;
}

function row(step) {
  if (!rows.has(step.id)) {
    const bar = element("progress", { max: 1, value: 0 });
    bar.setAttribute("aria-label", step.id);
    const end = element("span", { className: "end" });
    const doing = element("span", { className: "doing", hidden: true });
    if (!rows.size) steps.replaceChildren();
    steps.append(element("li", {}, element("span", {}, step.id), bar, end, doing));
    rows.set(step.id, { bar, end, doing });
  }
  return rows.get(step.id);
}

function show(told) {
  const progress = told.progress ?? {};
  all.value = progress.done ?? 0;
  for (const step of progress.steps ?? []) {
    const { bar, end, doing } = row(step);
    bar.value = step.done;
    const words = { finished: `${(step.seconds ?? 0).toFixed(1)} s`, reused: "kept from before", running: clock(step.seconds_left) || "at work" };
    end.textContent = words[step.state] ?? step.state;
    doing.textContent = step.what ?? "";
    doing.hidden = !step.what;
  }
  let sentence = "Waiting for a free worker.";
  if (told.state === "queued" && told.waiting) sentence = `Waiting; ${told.waiting} before it.`;
  if (told.state === "running") {
    const counted = `${progress.finished} of ${progress.total} steps finished.`;
    sentence = progress.what ? `All steps are finished; ${progress.what}.` : progress.total ? counted : "Starting.";
  }
  watch.querySelector("h2 .state").textContent = told.state[0].toUpperCase() + told.state.slice(1);
  // told only when it changes, so that screen readers are not flooded
  if (sentence !== spoken) say.textContent = spoken = sentence;
  for (const line of told.log) {
    after = Math.max(after, line.number);
    if (!log) {
      log = element("ol", { className: "log", id: "log", tabIndex: 0, ariaLabel: "Log of the run" });
      watch.after(log);
    }
    log.append(element("li", {}, [line.kind, line.step, line.text && `: ${line.text}`].filter(Boolean).join(" ").replace(" :", ":")));
    log.scrollTop = log.scrollHeight;
  }
}

async function follow() {
  try {
    const answer = await fetch(`/runs/${watch.dataset.run}/progress?after=${after}`);
    const told = await answer.json();
    show(told);
    if (!["queued", "running"].includes(told.state)) {
      location.reload();
      return;
    }
  } catch {
    say.textContent = spoken = "The server does not answer; trying again.";
  }
  setTimeout(follow, document.hidden ? 5000 : 700);
}
follow();
