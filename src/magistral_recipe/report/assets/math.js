// Typesetting: finds formulas in text and shows them by KaTeX, as MathML, which needs no fonts in the page.
// Texts come from a model. They only ever become text nodes; KaTeX builds elements, never HTML, and is not trusted
// with links (`trust: false`). What it cannot read stays as it was written.
"use strict";

const Maths = (() => {
  const LONGEST = 2000;
  const MOST = 300;
  // $$…$$, \[…\], \(…\), $…$ (no space inside the signs, no digit after: sums of money stay text), \begin{…}…\end{…}
  const DELIMITED = new RegExp(
    [
      /\$\$([\s\S]+?)\$\$/, /\\\[([\s\S]+?)\\\]/, /\\\(([\s\S]+?)\\\)/,
      /\$(?!\s)((?:[^$\\\n]|\\[^\n])+?)(?<!\s)\$(?!\d)/, /(\\begin\{(\w+\*?)\}[\s\S]+?\\end\{\6\})/,
    ].map(part => part.source).join("|"), "g");

  // Parts of a text: {text} or {tex, display}. A \boxed{…} outside of any formula is one too.
  function split(text) {
    const parts = [];
    let end = 0;
    for (const found of text.matchAll(DELIMITED)) {
      plain(text.slice(end, found.index), parts);
      const tex = found.slice(1, 6).find(group => group !== undefined);
      parts.push({ tex, display: found[1] !== undefined || found[2] !== undefined, source: found[0] });
      end = found.index + found[0].length;
    }
    plain(text.slice(end), parts);
    return parts;
  }

  function plain(text, parts) {
    let start = 0;
    for (let at = text.indexOf("\\boxed{"); at >= 0; at = text.indexOf("\\boxed{", start)) {
      const close = closing(text, at + 6);
      if (close < 0) break;
      if (at > start) parts.push({ text: text.slice(start, at) });
      const source = text.slice(at, close + 1);
      parts.push({ tex: source, display: false, source });
      start = close + 1;
    }
    if (start < text.length) parts.push({ text: text.slice(start) });
  }

  function closing(text, open) {
    let depth = 0;
    for (let at = open; at < text.length && at < open + LONGEST; at++) {
      if (text[at] === "\\") at++;
      else if (text[at] === "{") depth++;
      else if (text[at] === "}" && --depth === 0) return at;
    }
    return -1;
  }

  // Fill an element with a text, its formulas typeset.
  function show(element, text) {
    let formulas = 0;
    for (const part of split(text)) {
      if (part.text !== undefined || part.tex.length > LONGEST || ++formulas > MOST) {
        element.append(part.text ?? part.source);
        continue;
      }
      const place = document.createElement("span");
      place.className = part.display ? "formula display" : "formula";
      try {
        katex.render(part.tex, place, {
          output: "mathml", displayMode: part.display, throwOnError: true, strict: false, trust: false,
          maxSize: 10, maxExpand: 200,
        });
        element.append(place);
      } catch {
        element.append(part.source);
      }
    }
    return element;
  }

  return { show, split };
})();
