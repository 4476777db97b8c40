/* Moments in words, on the reader's clock, as crm/moments.py writes them: today's by the time, this week's by the
   weekday, others by the date. */

import { LOCALE, gettext } from "./words.js";

/* Firefox has a narrow space before PM, Chromium an ordinary one. */
function format(options) {
  const made = new Intl.DateTimeFormat(LOCALE, options);
  return { format: (when) => made.format(when).replaceAll("\u202f", " ") };
}
const clock = format({ timeStyle: "short" });
const weekday = format({ weekday: "short" });
const date = format({ day: "numeric", month: "short" });
const dateOfYear = format({ day: "numeric", month: "short", year: "numeric" });
const dateWithWeekday = format({ weekday: "short", day: "numeric", month: "short" });
const moment = format({ dateStyle: "medium", timeStyle: "short" });
const medium = format({ dateStyle: "medium" });

export const ZONE = Intl.DateTimeFormat().resolvedOptions().timeZone;

const midnight = (when) => Date.UTC(when.getFullYear(), when.getMonth(), when.getDate());
const daysAgo = (when) => (midnight(new Date()) - midnight(when)) / 86_400_000;
const near = (ago) => ({ 0: gettext("Today"), 1: gettext("Yesterday"), "-1": gettext("Tomorrow") })[ago];
const thisYear = (when) => when.getFullYear() === new Date().getFullYear();

function short(when) {
  const ago = daysAgo(when);
  if (ago === 0) return clock.format(when);
  if (ago > 1 && ago < 7) return weekday.format(when);
  return near(ago) ?? (thisYear(when) ? date : dateOfYear).format(when);
}

const kinds = {
  short,
  moment: (when) => moment.format(when),
  clock: (when) => (daysAgo(when) === 0 ? clock : moment).format(when),
  time: (when) => clock.format(when),
  heading: (when) => near(daysAgo(when)) ?? (thisYear(when) ? dateWithWeekday : dateOfYear).format(when),
};

export const momentWords = (when, kind) => kinds[kind](when);
export const dayWords = (when) => medium.format(when);
/* What stands behind the words: date, time and whose clock it is. */
export const fullWords = (when) => `${moment.format(when)} · ${ZONE}`;
