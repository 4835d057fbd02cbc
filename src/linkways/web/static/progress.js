// A run at work: steps, log and state as they come, until it has ended.
import { element } from "./dom.js";
import { _, number } from "./words.js";

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
  if (seconds < 60) return _("{time} left", { time: `${Math.round(seconds)} s` });
  return _("{time} left", { time: `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s` });
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);
function named(state) {
  const names = {
    draft: _("draft"), queued: _("queued"), running: _("running"), finished: _("finished"), failed: _("failed"),
    cancelled: _("cancelled"), waiting: _("waiting"),
  };
  return names[state] ?? state;
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
    const ends = { finished: `${number(Number((step.seconds ?? 0).toFixed(1)))} s`, reused: _("kept from before"), running: clock(step.seconds_left) || _("at work") };
    end.textContent = ends[step.state] ?? named(step.state);
    doing.textContent = step.what ?? "";
    doing.hidden = !step.what;
  }
  let sentence = _("Waiting for a free worker.");
  if (told.state === "queued" && told.waiting) sentence = _("Waiting; {count} before it.", { count: told.waiting });
  if (told.state === "running") {
    const counted = _("{done} of {total} steps finished.", { done: progress.finished, total: progress.total });
    sentence = progress.what ? _("All steps are finished; {what}.", { what: progress.what }) : progress.total ? counted : _("Starting.");
  }
  watch.querySelector("h2 .state").textContent = capital(named(told.state));
  // told only when it changes, so that screen readers are not flooded
  if (sentence !== spoken) say.textContent = spoken = sentence;
  for (const line of told.log) {
    after = Math.max(after, line.number);
    if (!log) {
      log = element("ol", { className: "log", id: "log", tabIndex: 0, ariaLabel: _("Log of the run") });
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
    say.textContent = spoken = _("The server does not answer; trying again.");
  }
  setTimeout(follow, document.hidden ? 5000 : 700);
}
follow();
