// Thumbs without a reload. Everything works without this file: it posts the forms that are there,
// and puts the parts that the answer changed into the page.
"use strict";

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.matches("form[data-live]")) return;
  event.preventDefault();
  const label = document.activeElement?.getAttribute("aria-label");
  const headers = {};
  // Only the browser can say that somebody pressed; without it the vote waits for a person.
  if (navigator.userActivation?.isActive) headers["Digest-Pressed"] = "1";
  let answer;
  try {
    answer = await fetch(form.action, { method: "POST", headers, body: new URLSearchParams(new FormData(form)) });
  } catch {
    answer = null;
  }
  if (!answer?.ok) {
    form.submit();
    return;
  }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const part of document.querySelectorAll("[data-part]")) {
    const fresh = page.getElementById(part.id);
    if (fresh && fresh.outerHTML !== part.outerHTML) {
      const open = [...part.querySelectorAll("details")].map((one) => one.open);
      part.replaceWith(fresh);
      fresh.querySelectorAll("details").forEach((one, n) => { one.open = open[n] ?? false; });
    }
  }
  // A vote that was chosen in the mail stands in a notice, which the edition's own page has not.
  document.querySelector(".notice[data-once]")?.remove();
  const article = form.dataset.live && document.getElementById(form.dataset.live);
  const said = document.getElementById("said");
  said.textContent = article?.querySelector(".noted span")?.textContent ?? said.dataset.undone;
  const focus = [...document.querySelectorAll("button[aria-label]")].find((one) => one.getAttribute("aria-label") === label);
  (focus ?? article?.querySelector("button") ?? document.querySelector("#votes button"))?.focus({ preventScroll: true });
});
