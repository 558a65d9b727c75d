// The sample browser: problems on the left, and on the right everything that was written on the chosen one, from the
// base model through the batches of RL to the last model. Whatever a model wrote becomes a text node, never HTML.
"use strict";

const Samples = (() => {
  const PAGE = 150, STRIPS = 6;
  let data, completions, entries, shown = [], current = null, limit = PAGE, ui = null, unfolded = false;

  const make = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const sum = values => values.reduce((a, b) => a + b, 0);
  const mean = values => (values.length ? sum(values) / values.length : null);
  const counted = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
  const signed = value => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}`;

  // ---- what there is to filter and to sort by

  const FILTERS = {
    all: ["everything", () => true],
    wrong: ["wrong", c => c.right === false],
    right: ["right", c => c.right === true],
    mixed: ["language mixed", c => c.mixed],
    truncated: ["cut at the limit", c => c.truncated],
    malformed: ["malformed", c => c.answer === null],
    suspect: ["reward hacks suspected", c => c.suspect !== ""],
    pushed: ["pushed up though wrong", c => c.right === false && c.advantage > 0],
  };
  const PLACES = {
    all: ["evaluation and training", () => true],
    evaluation: ["evaluation", c => data.occasions[c.occasion].kind === "evaluation"],
    rollouts: ["training groups", c => data.occasions[c.occasion].kind === "rollouts"],
  };
  const SORTS = {
    fate: ["what changed", entry => -entry.change],
    steps: ["step", entry => entry.step],
    seen: ["seen most often", entry => -entry.list.length],
    worst: ["lowest reward", entry => entry.reward],
    best: ["highest reward", entry => -entry.reward],
    spread: ["most divided", entry => -entry.spread],
    advantage: ["largest advantage", entry => -entry.advantage],
    longest: ["longest", entry => -entry.tokens],
  };

  function read(page) {
    data = page;
    const { fields, rows } = page.completions;
    completions = rows.map(row => Object.fromEntries(fields.map((field, at) => [field, row[at]])));
    const byProblem = new Map();
    for (const completion of completions) {
      if (!byProblem.has(completion.problem)) byProblem.set(completion.problem, []);
      byProblem.get(completion.problem).push(completion);
    }
    entries = [...byProblem].map(([index, list], order) => entryOf(page.problems[index], list, order));
  }

  function entryOf(problem, list, order) {
    list.sort((a, b) => a.occasion - b.occasion || a.group - b.group);
    const rewards = list.map(c => c.reward).filter(value => value !== null);
    const middle = mean(rewards) ?? 0;
    const rates = [...groupsOf(list)].map(group => mean(group.list.filter(c => c.right !== null).map(c => +c.right)));
    const known = rates.filter(value => value !== null);
    return {
      problem, list, order,
      text: [problem.text, problem.id, problem.reference, ...problem.facts].join("\n").toLowerCase(),
      reward: middle,
      spread: Math.sqrt(mean(rewards.map(value => (value - middle) ** 2)) ?? 0),
      advantage: Math.max(0, ...list.map(c => Math.abs(c.advantage ?? 0))),
      tokens: Math.max(0, ...list.map(c => c.tokens)),
      step: Math.min(...list.map(c => data.occasions[c.occasion].step ?? Infinity)),
      change: known.length > 1 ? known.at(-1) - known[0] : 0,
    };
  }

  // Completions of one occasion and group belong together.
  function groupsOf(list) {
    const found = new Map();
    for (const completion of list) {
      const key = `${completion.occasion}/${completion.group}`;
      if (!found.has(key)) found.set(key, { occasion: data.occasions[completion.occasion], list: [] });
      found.get(key).list.push(completion);
    }
    return found.values();
  }

  // ---- the frame

  function build(place) {
    const root = make("div", "browser");
    const bar = make("div", "bar");
    bar.setAttribute("role", "search");
    const search = make("input");
    Object.assign(search, { type: "search", id: "search", placeholder: "Search problems and completions", autocomplete: "off" });
    search.setAttribute("aria-label", "search problems and completions");
    const pick = (label, options, id) => {
      const select = make("select");
      select.id = id;
      select.setAttribute("aria-label", label);
      for (const [value, [name]] of Object.entries(options)) select.append(new Option(name, value));
      return select;
    };
    const filter = pick("show", FILTERS, "filter"), where = pick("from", PLACES, "where"), sort = pick("sort by", SORTS, "sort");
    for (const option of sort.options) option.text = `by ${option.text}`;
    const count = make("output", "count");
    count.setAttribute("aria-live", "polite");
    bar.append(search, filter, where, sort, count);
    const list = make("ul", "list");
    Object.assign(list, { tabIndex: 0, id: "entries" });
    list.setAttribute("role", "listbox");
    list.setAttribute("aria-label", "problems");
    const detail = make("div", "detail");
    detail.tabIndex = -1;
    detail.setAttribute("role", "region");
    detail.setAttribute("aria-label", "the chosen problem");
    const help = make("p", "keys");
    for (const [keys, meaning] of [["↓ ↑", "problem"], ["/", "search"], ["t", "thoughts"], ["Enter", "read"], ["Esc", "back"]]) {
      const entry = make("span");
      entry.append(make("kbd", "", keys), ` ${meaning}`);
      help.append(entry);
    }
    const body = make("div", "panes");
    body.append(list, detail);
    root.append(bar, body, help);
    place.replaceChildren(root);
    ui = { root, search, filter, where, sort, count, list, detail };
    for (const control of [filter, where, sort]) control.addEventListener("change", () => refresh());
    let waiting;
    search.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(refresh, 80); });
    list.addEventListener("click", event => {
      const item = event.target.closest("[role=option]");
      if (item) choose(shown[+item.dataset.at], true);
    });
    list.addEventListener("scroll", () => {
      if (list.scrollTop + list.clientHeight > list.scrollHeight - 200 && limit < shown.length) { limit += PAGE; fillList(); }
    });
    root.addEventListener("keydown", keys);
  }

  // Keys act only while the browser has the focus.
  function keys(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target === ui.search, selecting = event.target.tagName === "SELECT";
    const move = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1 }[event.key];
    const inList = event.target === ui.list || typing;
    if (event.key === "Escape") ui.list.focus();
    else if (selecting) return;
    else if (move && (event.key.length === 1 ? !typing : inList)) step(move);
    else if (event.key === "Enter" && inList) ui.detail.focus();
    else if (typing) return;
    else if (event.key === "Home" && inList) choose(shown[0], true);
    else if (event.key === "End" && inList) choose(shown.at(-1), true);
    else if (event.key === "/") ui.search.focus();
    else if (event.key === "t") unfold();
    else return;
    event.preventDefault();
  }

  function step(by) {
    const at = shown.indexOf(current);
    choose(shown[Math.min(shown.length - 1, Math.max(0, at + by))], true);
  }

  function unfold() {
    unfolded = !unfolded;
    for (const fold of ui.detail.querySelectorAll("details.thoughts")) fold.open = unfolded;
  }

  // ---- the list

  const matches = completion => FILTERS[ui.filter.value][1](completion) && PLACES[ui.where.value][1](completion);

  function wanted(entry, words) {
    if (!words.every(word => entry.text.includes(word) || entry.list.some(c => saidIn(c, word)))) return false;
    return entry.list.some(matches);
  }

  const saidIn = (completion, word) => (completion.thoughts + "\n" + (completion.answer ?? "")).toLowerCase().includes(word);

  function refresh() {
    const words = ui.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const key = SORTS[ui.sort.value][1];
    shown = entries.filter(entry => wanted(entry, words)).sort((a, b) => compare(key(a), key(b)) || a.order - b.order);
    limit = PAGE;
    ui.list.scrollTop = 0;
    const found = sum(shown.map(entry => entry.list.filter(matches).length));
    ui.count.textContent = `${counted(shown.length, "problem")}, ${counted(found, "completion")}`;
    fillList();
    if (!shown.includes(current)) show(shown[0] ?? null);
    else if (current) show(current);
  }

  const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

  function fillList() {
    ui.list.replaceChildren(...shown.slice(0, limit).map((entry, at) => listed(entry, at)));
    mark();
  }

  function listed(entry, at) {
    const item = make("li");
    item.setAttribute("role", "option");
    item.id = `entry-${at}`;
    item.dataset.at = at;
    const text = make("span", "ask", entry.problem.text.slice(0, 240));
    text.dir = "auto";
    item.append(text);
    const strips = make("span", "strips");
    const groups = [...groupsOf(entry.list)];
    for (const group of groups.slice(0, STRIPS)) strips.append(strip(group));
    if (groups.length > STRIPS) strips.append(make("span", "strip on", `and ${groups.length - STRIPS} more`));
    item.append(strips);
    return item;
  }

  // One square a completion: filled where right, hollow where wrong.
  function strip(group) {
    const made = make("span", "strip");
    made.append(make("span", "on", group.occasion.short));
    for (const completion of group.list.slice(0, 16)) made.append(make("i", verdictClass(completion)));
    const right = group.list.filter(c => c.right).length;
    made.append(make("span", "sr", `${right} of ${group.list.length} right`));
    return made;
  }

  const verdictClass = c => (c.right === null ? "open" : c.right ? "right" : "wrong");

  function mark() {
    const at = shown.indexOf(current);
    for (const item of ui.list.children) item.setAttribute("aria-selected", String(+item.dataset.at === at));
    const chosen = document.getElementById(`entry-${at}`);
    if (chosen) {
      ui.list.setAttribute("aria-activedescendant", chosen.id);
      const above = -below(ui.list, chosen), hidden = chosen.offsetHeight - ui.list.clientHeight - above;
      if (above > 0) ui.list.scrollTop -= above;
      else if (hidden > 0) ui.list.scrollTop += hidden;
    } else ui.list.removeAttribute("aria-activedescendant");
  }

  // How far an element lies below the upper edge of the pane that scrolls it.
  const below = (pane, inner) => inner.getBoundingClientRect().top - pane.getBoundingClientRect().top;

  // ---- one problem

  function choose(entry, link = false) {
    if (!entry) return;
    while (shown.indexOf(entry) >= limit) { limit += PAGE; fillList(); }
    show(entry);
    if (link) history.replaceState(null, "", address(entry));
  }

  const address = (entry, completion) => {
    const words = new URLSearchParams({ problem: entry.problem.id });
    if (completion) words.set("at", placeOf(completion));
    return `#${words}`;
  };
  const placeOf = c => [data.occasions[c.occasion].name, c.group, c.number, c.greedy ? "greedy" : "drawn"].join("/");

  function show(entry) {
    current = entry;
    mark();
    if (!entry) { ui.detail.replaceChildren(make("p", "nothing", "Nothing matches.")); return; }
    const head = make("header");
    const question = make("h3");
    question.dir = "auto";
    Maths.show(question, entry.problem.text);
    head.append(question);
    const facts = make("ul", "facts");
    if (entry.problem.reference) {
      const reference = make("li", "reference", "reference ");
      reference.append(Maths.show(make("bdi"), entry.problem.reference));
      facts.append(reference);
    }
    for (const fact of entry.problem.facts) facts.append(make("li", "", fact));
    head.append(facts);
    const groups = [...groupsOf(entry.list)];
    const columns = make("div", "columns");
    columns.append(...groups.filter(g => g.occasion.kind === "evaluation").map(column));
    const rows = groups.filter(g => g.occasion.kind === "rollouts").map(column);
    ui.detail.replaceChildren(head, ...(columns.childElementCount ? [columns] : []), ...rows);
    ui.detail.scrollTop = 0;
  }

  function column(group) {
    const rollouts = group.occasion.kind === "rollouts";
    const made = make("section", rollouts ? "group" : "model");
    const right = group.list.filter(c => c.right).length;
    const rewards = group.list.map(c => c.reward).filter(value => value !== null);
    const told = rollouts ? `group of ${group.list.length}, ${right} right, reward ${(mean(rewards) ?? 0).toFixed(2)} on average`
      : `${right} of ${group.list.length} right`;
    const head = make("h4", "", group.occasion.name);
    head.append(make("span", "", told));
    made.append(head);
    const list = rollouts ? [...group.list].sort((a, b) => (b.reward ?? 0) - (a.reward ?? 0)) : group.list;
    const fitting = list.filter(matches);
    const open = new Set(ui.filter.value === "all" ? [list[0], ...(rollouts ? [list.at(-1)] : [])] : fitting.slice(0, 3));
    made.append(...list.map(completion => card(completion, open.has(completion), !matches(completion))));
    return made;
  }

  function card(completion, open, aside) {
    const made = make("details", `card${aside ? " aside" : ""}`);
    made.open = open;
    made.dataset.place = placeOf(completion);
    const head = make("summary");
    head.append(make("span", `verdict ${verdictClass(completion)}`, completion.right === null ? "undecided" : completion.right ? "right" : "wrong"));
    head.append(make("span", "who", completion.group >= 0 ? `#${completion.number + 1}` : completion.greedy ? "greedy" : `sample ${completion.number + 1}`));
    if (completion.reward !== null) head.append(make("span", "figure", `reward ${completion.reward.toFixed(2)}`));
    if (completion.advantage !== null) head.append(advantage(completion.advantage));
    head.append(make("span", "figure", `${completion.tokens} tokens`));
    if (completion.truncated) head.append(make("span", "flag", "cut"));
    if (completion.mixed) head.append(make("span", "flag", "language"));
    if (completion.suspect) head.append(make("span", "flag bad", completion.suspect));
    made.append(head);
    const fill = () => { if (made.childElementCount === 1) made.append(inside(completion)); };
    if (open) fill();
    made.addEventListener("toggle", () => made.open && fill());
    return made;
  }

  // How much the completion was pushed up or down, as a number and a bar.
  function advantage(value) {
    const made = make("span", "advantage", `advantage ${signed(value)}`);
    const bar = make("i", value < 0 ? "down" : "up");
    bar.style.width = `${Math.min(24, 12 * Math.abs(value))}px`;
    made.append(bar);
    return made;
  }

  function inside(completion) {
    const made = make("div", "inside");
    const text = (className, words) => {
      const part = make("div", `text ${className}`);
      part.dir = "auto";
      return Maths.show(part, words);
    };
    if (completion.answer === null) {
      made.append(make("p", "remark", "Malformed: the tags are missing or out of order. All of it:"), text("", completion.thoughts || "(nothing)"));
    } else {
      const fold = make("details", "thoughts");
      fold.open = unfolded;
      fold.append(make("summary", "", `thoughts, ${counted(completion.thoughts.length, "character")}`), text("", completion.thoughts));
      made.append(fold, text("answer", completion.answer || "(nothing)"));
    }
    const table = make("table", "parts");
    const caption = make("caption", "sr", "rewards");
    table.append(caption);
    for (const [name, value, reason] of completion.parts) {
      const row = make("tr");
      const head = make("th", "", name);
      head.scope = "row";
      row.append(head, make("td", "", value === null ? "–" : String(+value.toFixed(3))), make("td", "reason", reason));
      table.append(row);
    }
    const link = make("a", "link", "link to this completion");
    link.href = address(current, completion);
    made.append(table, link);
    return made;
  }

  // ---- deep links: #problem=ID&at=OCCASION/GROUP/NUMBER

  function follow() {
    if (!ui || !location.hash.startsWith("#problem=")) return false;
    const words = new URLSearchParams(location.hash.slice(1));
    const entry = entries.find(each => each.problem.id === words.get("problem"));
    if (!entry) return false;
    if (!shown.includes(entry)) { ui.search.value = ""; ui.filter.value = ui.where.value = "all"; refresh(); }
    choose(entry);
    const at = words.get("at");
    const found = at && [...ui.detail.querySelectorAll(".card")].find(each => each.dataset.place === at);
    document.getElementById("samples").scrollIntoView({ behavior: "instant" });
    if (found) {
      found.open = true;
      found.classList.add("linked");
      ui.detail.scrollTop += below(ui.detail, found) - 60;
      found.querySelector("summary").focus({ preventScroll: true });
    }
    return true;
  }

  // Begin, or take up new data of a run that goes on, keeping what the reader chose.
  function start(page) {
    const place = document.getElementById("browser-here");
    if (!place || !page.completions.rows.length) return;
    const before = current?.problem.id;
    read(page);
    if (!ui || !ui.root.isConnected) {
      build(place);
      ui.sort.value = "fate";
    }
    current = entries.find(entry => entry.problem.id === before) ?? null;
    refresh();
  }

  addEventListener("hashchange", follow);
  return { start, follow };
})();
