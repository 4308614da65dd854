// The subscribe page, live. Everything works without this file: it posts the form that is there, and
// puts the parts that the answer changed into the page.
"use strict";

const form = document.getElementById("joining");
const zone = document.getElementById("timezone");
const PAUSE = 500;
const PATIENCE = 8000;

// --- the time zone, guessed ----------------------------------------------------------------------

const guess = Intl.DateTimeFormat().resolvedOptions().timeZone;
if (guess && zone.value === zone.defaultValue && !document.querySelector("[role=alert]")) {
  zone.value = guess;
}

// --- the sample, as soon as there is something new to tell ----------------------------------------

let timer = 0;
let asked = 0;

async function refresh(what, parts) {
  clearTimeout(timer);
  const turn = ++asked;
  const given = new FormData(form);
  given.delete("altcha");
  given.set("do", what);
  let answer;
  form.classList.add("asking");
  try {
    answer = await fetch(form.action, { method: "POST", body: given });
  } catch {
    answer = null;
  }
  if (turn !== asked) return;
  form.classList.remove("asking");
  if (!answer?.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (turn !== asked) return;
  for (const id of parts) {
    const now = document.getElementById(id);
    const fresh = page.getElementById(id);
    if (!now || !fresh) continue;
    const focused = now.contains(document.activeElement) ? document.activeElement.id : "";
    now.replaceWith(fresh);
    if (focused) document.getElementById(focused)?.focus();
  }
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(() => refresh("sample", ["sample"]), PAUSE);
}

form.addEventListener("input", (event) => {
  if (["interest", "pick", "mix", "length"].includes(event.target.name)) soon();
});
form.addEventListener("change", (event) => {
  if (event.target.name === "file" || event.target.name === "forget") {
    refresh("sample", ["bringing", "sample"]);
  }
});
form.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.name === "q") {
    event.preventDefault();
    refresh("search", ["papers"]);
  }
});

// --- a proof of work, done while the form is filled in --------------------------------------------

let proof = null;

async function solve(url) {
  const challenge = await (await fetch(url)).json();
  const coder = new TextEncoder();
  for (let number = 0; number <= challenge.maxNumber; number++) {
    const hash = await crypto.subtle.digest("SHA-256", coder.encode(challenge.salt + number));
    const hex = Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("");
    if (hex === challenge.challenge) {
      const { algorithm, salt, signature } = challenge;
      return btoa(JSON.stringify({ algorithm, challenge: hex, number, salt, signature }));
    }
    // Typing must not wait for it.
    if (number % 500 === 499) await new Promise((go) => setTimeout(go));
  }
  return "";
}

if (form.dataset.challenge && globalThis.crypto?.subtle) {
  form.addEventListener("input", () => {
    proof ??= solve(form.dataset.challenge).catch(() => "");
  });
}

form.addEventListener("submit", async (event) => {
  const pressed = event.submitter?.value;
  if (pressed === "search" || pressed === "sample") {
    event.preventDefault();
    refresh(pressed, pressed === "search" ? ["papers"] : ["bringing", "sample"]);
    return;
  }
  if (!proof) return;
  event.preventDefault();
  const wait = new Promise((go) => setTimeout(go, PATIENCE, ""));
  const solved = document.createElement("input");
  Object.assign(solved, { type: "hidden", name: "altcha", value: await Promise.race([proof, wait]) });
  form.append(solved);
  form.submit();
});
