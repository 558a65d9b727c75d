// The figures, drawn by uPlot from the numbers in the page's data: curves, stacked areas, a scatter, intervals.
// A legend above each figure carries the values under the cursor; figures of one stage move their cursors together.
"use strict";

const Charts = (() => {
  const HEIGHT = { lines: 180, stacked: 180, scatter: 200, intervals: 230 };
  const drawn = new Map(); // element -> {plot, chart, redraw}

  // Ties go to the even digit, as in the tables: 31.25% is 31.2% wherever it stands.
  function fixed(value, digits) {
    const rounded = value.toFixed(digits), exact = value.toFixed(digits + 30);
    const tie = exact.endsWith(`5${"0".repeat(29)}`) && "13579".includes(rounded.at(-1));
    return tie ? exact.slice(0, -30).replace(/\.$/, "") : rounded;
  }
  const precise = value => +fixed(value, Math.max(0, 2 - Math.floor(Math.log10(value))));

  function number(value, unit) {
    if (value === null || value === undefined || Number.isNaN(value)) return "–";
    if (value < 0) return `−${number(-value, unit)}`;
    if (unit === "share") return `${fixed(100 * value, value > 0 && value < 0.001 ? 3 : 1)}%`;
    const size = Math.abs(value);
    if (size === 0) return "0";
    if (size >= 999500) return `${precise(value / 1e6)}M`;
    if (size >= 1e4) return `${precise(value / 1e3)}k`;
    if (size >= 999.5) return fixed(value, 0);
    const short = size < 1e-3 ? value.toExponential(1).replace("e-0", "e-") : String(precise(value));
    return unit === "seconds" ? `${short} s` : short;
  }

  function tick(value, unit) {
    if (unit === "share") return `${+(100 * value).toFixed(2)}%`;
    return number(value, unit === "seconds" ? "number" : unit);
  }

  const element = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  // ---- legends: colour, name, value

  // The last model of a chain has the page's own colour, the first one none; a fitted line has none either.
  function shade(chart, name, at, count) {
    if (name === "fit") return 7;
    if (chart.kind !== "intervals") return at % 7;
    return at === count - 1 ? 0 : at === 0 && count > 2 ? 7 : 1 + (at - (count > 2 ? 1 : 0)) % 6;
  }

  function legend(chart, names) {
    const list = element("ul", "legend");
    const entries = names.map((name, at) => {
      const item = element("li", `s${shade(chart, name, at, names.length)}`);
      item.append(element("i", "swatch"), element("span", "name", name), element("b"));
      list.append(item);
      return item;
    });
    return { list, entries, tell: (at, text) => { entries[at].lastChild.textContent = text; } };
  }

  const colour = item => getComputedStyle(item).color;
  const faded = (value, alpha) => value.replace(/^rgb\(/, "rgba(").replace(/\)$/, `, ${alpha})`);

  function axes(chart, style, more = {}) {
    const line = getComputedStyle(document.documentElement).getPropertyValue("--x") && style.line;
    const common = {
      stroke: style.soft, font: "11px system-ui, sans-serif",
      grid: { stroke: line || style.line, width: 1 }, ticks: { show: false },
    };
    return [
      { ...common, grid: { show: false }, size: 26, gap: 4, space: 44, ...more.x },
      { ...common, size: 44, gap: 6, space: 34, values: (_, ticks) => ticks.map(t => tick(t, chart.unit)), ...more.y },
    ];
  }

  function palette(place) {
    const probe = element("i", "probe");
    place.append(probe);
    const pick = name => { probe.className = `probe ${name}`; return getComputedStyle(probe).color; };
    const style = { soft: pick("soft"), line: pick("line"), ink: pick("ink") };
    probe.remove();
    return style;
  }

  function range(chart) {
    return (_, low, high) => {
      if (low === null || high === null) return [0, 1];
      if (chart.unit === "share") return [0, Math.min(1, Math.max(high * 1.08, 0.01)) || 1];
      if (low > 0 && low < 0.5 * high) low = 0;
      const pad = (high - low) * 0.06 || Math.abs(high) * 0.1 || 1;
      return [low === 0 ? 0 : low - pad, high + pad];
    };
  }

  const within = sync => ({ key: sync, setSeries: false, scales: ["x", null] });

  function cursor(chart) {
    return { y: false, drag: { x: false, y: false }, sync: chart.group ? within(chart.group) : undefined,
      points: { size: 7, width: 2 } };
  }

  // ---- curves over steps

  function lines(chart, place, width) {
    const style = palette(place), told = legend(chart, chart.series.map(s => s.name));
    place.append(told.list);
    const data = [chart.x], series = [{}];
    chart.series.forEach((each, at) => {
      const stroke = colour(told.entries[at]);
      data.push(each.values);
      series.push({ stroke: each.smooth ? faded(stroke, 0.28) : stroke, width: each.smooth ? 1 : 2, spanGaps: true,
        points: { show: chart.x.length < 3 } });
    });
    chart.series.forEach((each, at) => {
      if (!each.smooth) return;
      data.push(each.smooth);
      series.push({ stroke: colour(told.entries[at]), width: 2, spanGaps: true, points: { show: false } });
    });
    const last = values => { for (let i = values.length - 1; i >= 0; i--) if (values[i] !== null) return values[i]; };
    const step = element("li", "at");
    told.list.append(step);
    const tell = at => {
      step.textContent = at === null || at === undefined ? "" : `step ${chart.x[at]}`;
      chart.series.forEach((each, i) => told.tell(i, number(near(each.values, at) ?? last(each.values), chart.unit)));
    };
    tell(null);
    return new uPlot({
      width, height: HEIGHT.lines, legend: { show: false }, cursor: cursor(chart), series,
      scales: { x: { time: false }, y: { range: range(chart) } }, axes: axes(chart, style),
      hooks: { setCursor: [u => tell(u.cursor.idx)] },
    }, data, place);
  }

  // The value at a place; what was logged last before it, where nothing was logged just there.
  function near(values, at) {
    if (at === null || at === undefined) return undefined;
    for (let i = at; i >= 0 && i > at - 25; i--) if (values[i] !== null) return values[i];
    return undefined;
  }

  // ---- stacked areas

  function stacked(chart, place, width) {
    const style = palette(place), told = legend(chart, chart.series.map(s => s.name));
    place.append(told.list);
    const sums = chart.x.map(() => 0), layers = [];
    for (const each of chart.series) {
      layers.push(each.values.map((value, i) => (sums[i] += value ?? 0)));
    }
    const series = [{}], data = [chart.x];
    for (let at = layers.length - 1; at >= 0; at--) {
      const stroke = colour(told.entries[at]);
      data.push(layers[at]);
      series.push({ stroke, width: 1, fill: stroke, points: { show: false } });
    }
    const step = element("li", "at");
    told.list.append(step);
    const tell = at => {
      const i = at ?? chart.x.length - 1;
      step.textContent = at === null || at === undefined ? "" : `step ${chart.x[i]}`;
      chart.series.forEach((each, n) => told.tell(n, number(each.values[i], chart.unit)));
    };
    tell(null);
    return new uPlot({
      width, height: HEIGHT.stacked, legend: { show: false }, cursor: cursor(chart), series,
      scales: { x: { time: false }, y: { range: (_, low, high) => [0, (high || 1) * 1.05] } }, axes: axes(chart, style),
      hooks: { setCursor: [u => tell(u.cursor.idx)] },
    }, data, place);
  }

  // ---- reward against the logarithm of length

  function scatter(chart, place, width) {
    const style = palette(place), told = legend(chart, chart.series.map(s => s.name));
    place.append(told.list);
    const logs = chart.x.map(Math.log);
    const series = [{}], data = [logs];
    chart.series.forEach((each, at) => {
      const stroke = colour(told.entries[at]), fit = each.name === "fit";
      data.push(each.values);
      series.push(fit ? { stroke: style.soft, width: 1.5, dash: [5, 4], points: { show: false } } : {
        stroke, paths: () => null, points: { show: true, size: 6, fill: faded(stroke, 0.55), stroke, width: 1 } });
    });
    const where = element("li", "at");
    told.list.append(where);
    const tell = at => {
      where.textContent = at === null || at === undefined ? "" :
        `${chart.labels[at]}: ${number(chart.x[at], "number")} tokens`;
      chart.series.forEach((each, i) => told.tell(i, at == null || each.values[at] === null ? "" :
        number(each.values[at], chart.unit)));
    };
    tell(null);
    const x = {
      splits: (_, __, low, high) => niceBetween(Math.exp(low), Math.exp(high)).map(Math.log),
      values: (_, ticks) => ticks.map(t => `${Math.round(Math.exp(t))}`),
      label: "tokens, logarithmic", labelSize: 20, labelFont: "11px system-ui, sans-serif", size: 24,
    };
    return new uPlot({
      width, height: HEIGHT.scatter, legend: { show: false }, cursor: cursor(chart), series,
      scales: { x: { time: false, range: (_, low, high) => padded(low, high) }, y: { range: range(chart) } },
      axes: axes(chart, style, { x }), hooks: { setCursor: [u => tell(u.cursor.idx)] },
    }, data, place);
  }

  const padded = (low, high) => { const pad = (high - low || 1) * 0.05; return [low - pad, high + pad]; };

  function niceBetween(low, high) {
    if (high / low > 6) {
      const found = [];
      for (let value = 2 ** Math.ceil(Math.log2(low)); value <= high; value *= 2) found.push(value);
      return found;
    }
    const raw = (high - low) / 5, power = 10 ** Math.floor(Math.log10(raw));
    const size = [1, 2, 5, 10].map(f => f * power).find(s => s >= raw);
    const found = [];
    for (let value = Math.ceil(low / size) * size; value <= high; value += size) found.push(value);
    return found;
  }

  // ---- scores with their intervals, models beside one another

  function intervals(chart, place, width) {
    const style = palette(place), told = legend(chart, chart.series.map(s => s.name));
    place.append(told.list);
    const count = chart.series.length, gap = Math.min(0.22, 0.7 / count);
    const spots = chart.labels.flatMap((_, label) => chart.series.map((_, at) => ({ label, at })));
    const xs = spots.map(spot => spot.label + (spot.at - (count - 1) / 2) * gap);
    const data = [xs], series = [{}], colours = told.entries.map(colour);
    chart.series.forEach((each, at) => {
      data.push(spots.map(spot => (spot.at === at ? each.values[spot.label] : null)));
      series.push({ stroke: colours[at], paths: () => null,
        points: { show: true, size: 8, fill: colours[at], stroke: colours[at], width: 0 } });
    });
    const where = element("li", "at");
    told.list.append(where);
    const tell = index => {
      const label = index === null || index === undefined ? null : spots[index].label;
      where.textContent = label === null ? "" : chart.labels[label];
      chart.series.forEach((each, at) => told.tell(at, label === null || each.values[label] === null ? "" :
        `${number(each.values[label], "share")} [${number(each.low[label], "share")}, ${number(each.high[label], "share")}]`));
    };
    tell(null);
    const whiskers = u => {
      const pen = u.ctx, ratio = devicePixelRatio;
      pen.save();
      pen.lineWidth = 2 * ratio;
      pen.lineCap = "round";
      spots.forEach((spot, index) => {
        const each = chart.series[spot.at], low = each.low[spot.label], high = each.high[spot.label];
        if (low === null || high === null) return;
        const x = u.valToPos(xs[index], "x", true);
        pen.strokeStyle = colours[spot.at];
        pen.beginPath();
        pen.moveTo(x, u.valToPos(low, "y", true));
        pen.lineTo(x, u.valToPos(high, "y", true));
        pen.stroke();
      });
      pen.restore();
    };
    const longest = Math.max(...chart.labels.map(label => Math.min(22, label.length)));
    const narrow = (width - 60) / chart.labels.length < 6.4 * longest;
    const x = {
      splits: () => chart.labels.map((_, i) => i), space: 1, size: narrow ? 74 : 28, rotate: narrow ? -50 : 0,
      values: (_, ticks) => ticks.map(t => shortened(chart.labels[t] ?? "", narrow ? 13 : 22)),
    };
    return new uPlot({
      width, height: HEIGHT.intervals + (narrow ? 46 : 0), legend: { show: false }, cursor: { ...cursor(chart), sync: undefined },
      series, scales: { x: { time: false, range: () => [-0.5, chart.labels.length - 0.5] }, y: { range: () => [-0.02, 1.02] } },
      axes: axes(chart, style, { x }), hooks: { drawAxes: [whiskers], setCursor: [u => tell(u.cursor.idx)] },
    }, data, place);
  }

  const shortened = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

  // ---- all of them

  const makers = { lines, stacked, scatter, intervals };

  function draw(place, chart) {
    drawn.get(place)?.plot.destroy();
    place.replaceChildren();
    const plot = makers[chart.kind](chart, place, Math.max(220, place.clientWidth));
    plot.root.setAttribute("role", "img");
    plot.root.setAttribute("aria-label", spoken(chart));
    drawn.set(place, { plot, chart, width: place.clientWidth });
  }

  function spoken(chart) {
    const ends = chart.series.filter(each => each.name !== "fit").map(each => {
      const known = each.values.filter(value => value !== null);
      if (chart.kind === "intervals") {
        return `${each.name}: ${chart.labels.map((l, i) => `${l} ${number(each.values[i], "share")}`).join(", ")}`;
      }
      return `${each.name} from ${number(known[0], chart.unit)} to ${number(known.at(-1), chart.unit)}`;
    });
    return `${chart.title}. ${ends.join("; ")}`;
  }

  const resized = new ResizeObserver(entries => {
    for (const { target } of entries) {
      const known = drawn.get(target);
      if (known && Math.abs(known.width - target.clientWidth) > 1) draw(target, known.chart);
    }
  });
  let pending = new Map();
  const near_ = new IntersectionObserver(entries => {
    for (const { target, isIntersecting } of entries) if (isIntersecting) drawNow(target);
  }, { rootMargin: "600px" });

  function drawNow(place) {
    const chart = pending.get(place);
    if (!chart) return;
    pending.delete(place);
    near_.unobserve(place);
    draw(place, chart);
    resized.observe(place);
  }

  // Draw the figures that are in the page; those out of sight when they come near.
  function start(charts) {
    for (const place of drawn.keys()) if (!place.isConnected) { drawn.get(place).plot.destroy(); drawn.delete(place); }
    pending = new Map();
    for (const chart of charts) {
      const place = document.getElementById(chart.id);
      if (!place || !chart.series) continue;
      pending.set(place, { kind: "lines", unit: "number", labels: [], ...chart });
      if (drawn.has(place)) drawNow(place); else near_.observe(place);
    }
  }

  const all = () => { for (const place of [...pending.keys()]) drawNow(place); };
  const again = () => { for (const [place, { chart }] of [...drawn]) draw(place, chart); };

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  return { start, all, again, number, drawn };
})();
