/* The page's language for modules: its locale, and Django's catalogue (base.html loads it before them) or English. */

const language = document.documentElement.lang || "en";

/* The reader's own variety where the browser names one (en-GB), else the page's language. */
export const LOCALE = navigator.languages.find((name) => name.split("-")[0] === language) ?? language;

export const gettext = (text) => window.django?.gettext(text) ?? text;
export const ngettext = (one, many, count) => window.django?.ngettext(one, many, count) ?? (count === 1 ? one : many);
export const interpolate = (text, values) => text.replace(/%s/g, () => values.shift());
