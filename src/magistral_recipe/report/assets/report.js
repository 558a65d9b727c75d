// The page itself: reads the data, starts figures and samples, the colour scheme's switch, and, where the page is
// served while a run goes on, keeps up with it.
"use strict";

(() => {
  const read = source => JSON.parse(source.getElementById("data").textContent);

  function start(page) {
    Charts.start(page.charts);
    Samples.start(page);
  }

  // ---- light, dark, or as the system has it

  const schemes = ["auto", "light", "dark"];
  const button = document.getElementById("theme");
  const remembered = () => { try { return localStorage.getItem("scheme") ?? "auto"; } catch { return "auto"; } };
  function scheme(name) {
    if (name === "auto") delete document.documentElement.dataset.scheme;
    else document.documentElement.dataset.scheme = name;
    button.textContent = { auto: "◐ auto", light: "☀ light", dark: "☾ dark" }[name];
    button.setAttribute("aria-label", `colour scheme: ${name}`);
    button.dataset.name = name;
    try { localStorage.setItem("scheme", name); } catch { /* a file without storage */ }
  }
  button.hidden = false;
  scheme(schemes.includes(remembered()) ? remembered() : "auto");
  button.addEventListener("click", () => {
    scheme(schemes[(schemes.indexOf(button.dataset.name) + 1) % schemes.length]);
    Charts.again();
  });

  // ---- on paper everything is light, and every figure is drawn

  let onScreen;
  addEventListener("beforeprint", () => {
    onScreen = document.documentElement.dataset.scheme;
    document.documentElement.dataset.scheme = "light";
    Charts.all();
    Charts.again();
  });
  addEventListener("afterprint", () => {
    if (onScreen) document.documentElement.dataset.scheme = onScreen;
    else delete document.documentElement.dataset.scheme;
    Charts.again();
  });

  // ---- a run that goes on: ask for news, and replace what has changed

  let version = null;
  async function ask() {
    try {
      const now = await (await fetch("/version", { cache: "no-store" })).text();
      if (version !== null && now !== version) await takeUp();
      version = now;
      document.documentElement.classList.remove("lost");
    } catch {
      document.documentElement.classList.add("lost");
    }
    setTimeout(ask, 2000);
  }

  const load = () => new Promise((done, failed) => {
    const request = new XMLHttpRequest(); // parses the answer into a document without running anything in it
    request.open("GET", "/");
    request.responseType = "document";
    request.onload = () => (request.response ? done(request.response) : failed(new Error("no page")));
    request.onerror = () => failed(new Error("no answer"));
    request.send();
  });

  async function takeUp() {
    const fresh = await load();
    const missing = new Set([...fresh.querySelectorAll("[data-live], #browser")].map(key));
    const known = new Set([...document.querySelectorAll("[data-live], #browser")].map(key));
    if (missing.size !== known.size || [...missing].some(name => !known.has(name))) {
      location.reload(); // a section came or went
      return;
    }
    for (const section of document.querySelectorAll("[data-live]")) {
      const other = fresh.querySelector(`[data-live="${section.dataset.live}"]`);
      const open = [...section.querySelectorAll("details")].map(each => each.open);
      section.replaceChildren(...document.adoptNode(other).childNodes);
      [...section.querySelectorAll("details")].forEach((each, at) => { each.open = open[at] ?? each.open; });
    }
    const again = document.getElementById("theme");
    if (again && again !== button) again.replaceWith(button);
    start(read(fresh));
  }

  const key = section => section.dataset.live ?? section.id;

  const page = read(document);
  start(page);
  Samples.follow();
  if (page.live) {
    document.documentElement.classList.add("live");
    ask();
  }
})();
