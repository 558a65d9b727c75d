"""The page in a real browser: hostile completions, narrow screens, both colour schemes."""

from __future__ import annotations

import pytest
from browser import browser
from fabricated import make_run

from magistral_recipe.report.build import build_report

pytestmark = pytest.mark.browser

MARK = "document.documentElement.setAttribute('data-owned','1')"
HOSTILE = [
    f"<script>{MARK}</script>",
    f'<think>x</think><img src=x onerror="{MARK}"><svg onload="{MARK}"></svg>',
    f"<think></style></details></article><script>{MARK}</script></think>'\"><iframe srcdoc='<script>{MARK}</script>'>",
    "<think>a</think><style>body{display:none}</style><link rel=stylesheet href=http://127.0.0.1:9/x.css>",
    "<think>a</think><meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'><base href=http://127.0.0.1:9/>",
    "<think>a</think><form action=http://127.0.0.1:9/><button autofocus onfocus=" + MARK + ">x</button></form>",
    "<think>{{ 7*7 }}{% raw %}</think>{{ cycler.__init__.__globals__ }} ]]> <!-- --> &lt;b&gt; \x00 \ud800 \u202e",
    f'<think>x</think>[a](javascript:{MARK}) <a href="javascript:{MARK}">b</a> <object data="data:text/html,x">',
]


@pytest.fixture(scope="module")
def tab():
    with browser() as opened:
        yield opened


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return build_report(make_run(tmp_path_factory.mktemp("run"), 6))


def test_nothing_that_a_model_wrote_acts(tab, tmp_path):
    tab.open(build_report(make_run(tmp_path, 8, HOSTILE)))
    assert tab.evaluate("document.documentElement.getAttribute('data-owned')") is None
    foreign = "script,iframe,img,form,base,object,embed,link,button,input"
    assert tab.evaluate(f"document.querySelectorAll('{foreign}').length") == 0
    assert tab.evaluate("document.querySelectorAll('style').length") == 1
    assert tab.evaluate("[...document.querySelectorAll('a')].every(a => a.getAttribute('href').startsWith('#'))")
    assert tab.evaluate("getComputedStyle(document.body).display") == "block"
    assert tab.evaluate("document.querySelectorAll('main > h2').length") == 5
    assert [url for url in tab.requests() if not url.startswith("file:")] == []
    shown = tab.evaluate("document.body.textContent")
    for text in HOSTILE:  # escaped, and still there to read
        assert text.split("</think>")[-1][:30] in shown


def test_the_policy_stops_what_escaping_would_miss(tab, page, tmp_path):
    text = page.read_text(encoding="utf-8")
    broken = tmp_path / "broken.html"
    broken.write_text(text.replace("<main>", f'<main><script>{MARK}</script><img src=x onerror="{MARK}">'))
    tab.open(broken)
    assert tab.evaluate("document.documentElement.getAttribute('data-owned')") is None
    start = text.index('<meta http-equiv="Content-Security-Policy"')
    unguarded = text[:start] + text[text.index(">", start) + 1 :]
    broken.write_text(unguarded.replace("<main>", f"<main><script>{MARK}</script>"))
    tab.open(broken)  # the control: without the policy it would have run
    assert tab.evaluate("document.documentElement.getAttribute('data-owned')") == "1"


def test_the_page_fits_every_width(tab, tmp_path):
    long_words = "<think>" + "9" * 3000 + "</think>" + "x" * 3000
    tab.open(build_report(make_run(tmp_path, 6, [long_words])))
    for width in (360, 768, 1600):
        tab.resize(width)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width


def test_light_and_dark_are_both_readable(tab, page):
    tab.open(page)
    seen = set()
    for scheme in ("light", "dark"):
        tab.scheme(scheme)
        # Contrast of text on its background by WCAG's formula
        ratio = tab.evaluate(
            """(() => {
              const light = c => { const v = c.match(/\\d+/g).slice(0, 3).map(x => x / 255)
                .map(x => x <= .03928 ? x / 12.92 : ((x + .055) / 1.055) ** 2.4);
                return .2126 * v[0] + .7152 * v[1] + .0722 * v[2] };
              const ground = e => { for (; e; e = e.parentElement) {
                const c = getComputedStyle(e).backgroundColor; if (c !== 'rgba(0, 0, 0, 0)') return c } };
              const ratios = [...document.querySelectorAll('h1,p,li,td,th,small,summary,.verdict,dt,dd')]
                .map(e => [light(getComputedStyle(e).color), light(ground(e))].sort((a, b) => b - a))
                .map(([a, b]) => (a + .05) / (b + .05));
              return Math.min(...ratios) })()"""
        )
        assert ratio >= 4.5, scheme
        seen.add(tab.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(seen) == 2


def test_thoughts_unfold_and_curves_are_read_off(tab, page):
    tab.open(page)
    assert tab.evaluate("document.querySelector('details .thoughts').checkVisibility()") is False
    tab.evaluate("document.querySelector('article summary').click()")
    assert tab.evaluate("document.querySelector('details .thoughts').checkVisibility()") is True
    titles = tab.evaluate("[...document.querySelectorAll('svg title')].map(t => t.textContent)")
    assert any(title.startswith("correctness, step 45: ") for title in titles)
    assert tab.evaluate("[...document.querySelectorAll('svg')].every(s => s.getAttribute('aria-label'))")
