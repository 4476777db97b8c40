/* Asks every two seconds for what lives on the page, and leaves the forms alone. */

const state = document.querySelector("#state");
const lost = document.querySelector("#lost");
async function fresh() {
  if (!document.hidden) {
    try {
      const answer = await fetch("/state");
      const scrolled = [...state.querySelectorAll(".scroll")].map((each) => each.scrollTop);
      const html = await answer.text();
      if (html !== fresh.last) {
        state.innerHTML = fresh.last = html;
        state.querySelectorAll(".scroll").forEach((each, n) => { each.scrollTop = scrolled[n] ?? 0; });
      }
      lost.hidden = true;
    } catch { lost.hidden = false; }
  }
  setTimeout(fresh, 2000);
}
setTimeout(fresh, 2000);
const form = document.querySelector("#act");
const asked = new URLSearchParams(location.search);
for (const name of ["account", "fan"]) if (asked.get(name)) form.elements[name].value = asked.get(name);
