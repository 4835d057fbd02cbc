// The texts that scripts say, in the language of the page; English is written where it is said.
const { lang, dataset } = document.documentElement;
let words = {};
if (dataset.words) {
  try {
    words = await (await fetch(dataset.words)).json();
  } catch {
    // the page still works, in English
  }
}

// What stands in braces is filled in: _("{count} chosen.", { count: 3 }).
export function _(text, given = {}) {
  return (words[text] ?? text).replace(/\{(\w+)\}/g, (whole, name) => given[name] ?? whole);
}

// A number with at most six significant digits, as the language of the page writes it.
export function number(value) {
  return Number(value.toPrecision(6)).toLocaleString(lang, { maximumSignificantDigits: 6 });
}

// A number that was written the English way, as the language of the page writes it.
export function written(text, value) {
  return lang === "en" || !Number.isFinite(value) ? text : value.toLocaleString(lang, { maximumSignificantDigits: 3 });
}
