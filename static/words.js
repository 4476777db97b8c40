/* The page's language for modules: its locale, and Django's catalogue (base.html loads it before them) or English. */

const language = document.documentElement.lang || "en";

/* The reader's own variety where the browser asks for one (en-GB): the server's choice, so that both write the same. */
export const LOCALE = document.documentElement.dataset.locale || language;

export const gettext = (text) => window.django?.gettext(text) ?? text;
export const ngettext = (one, many, count) => window.django?.ngettext(one, many, count) ?? (count === 1 ? one : many);
export const interpolate = (text, values) => text.replace(/%s/g, () => values.shift());
