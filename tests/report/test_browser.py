"""The page in a real browser: hostile completions, every way through the samples, hovering, widths, schemes, axe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from browser import browser
from fabricated import MATHS, make_run

from magistral_recipe.report.build import build_report
from magistral_recipe.report.curves import number
from magistral_recipe.report.side_by_side import build_comparison

pytestmark = pytest.mark.browser

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
MARK = "document.documentElement.setAttribute('data-owned','1')"
HOSTILE = [
    f"<script>{MARK}</script>",
    f'<think>x</think><img src=x onerror="{MARK}"><svg onload="{MARK}"></svg>',
    f"<think></style></details></script><script>{MARK}</script></think>'\"><iframe srcdoc='<script>{MARK}</script>'>",
    "<think>a</think><style>body{display:none}</style><link rel=stylesheet href=http://127.0.0.1:9/x.css>",
    "<think>a</think><meta http-equiv=refresh content='0;url=http://127.0.0.1:9/'><base href=http://127.0.0.1:9/>",
    "<think>a</think><form action=http://127.0.0.1:9/><button autofocus onfocus=" + MARK + ">x</button></form>",
    "<think>{{ 7*7 }}{% raw %}</think>{{ cycler.__init__.__globals__ }} ]]> <!-- <script> --> &lt;b&gt; \x00 \ud800 \u202e",  # noqa: E501
    f'<think>x</think>[a](javascript:{MARK}) <a href="javascript:{MARK}">b</a> <object data="data:text/html,x">',
    rf"<think>x</think>$\href{{javascript:{MARK}}}{{click}}$ $\url{{javascript:{MARK}}}$ "
    r"$\includegraphics{http://127.0.0.1:9/x.png}$ $\htmlData{onclick=x}{y}$ $\htmlStyle{position: fixed}{z}$",
    r"<think>x</think>$\def\x{\x\x}\x$ $" + "{" * 1500 + "}" * 1500 + r"$ $\rule{9999em}{9999em}$ \boxed{\boxed{<b>}}",
    "<think>\u2028</think>\u2029 ${alert(1)} `; " + MARK + " //",
]


@pytest.fixture(scope="module")
def tab():
    with browser() as opened:
        opened.resize(1400, 1000)
        yield opened


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return build_report(make_run(tmp_path_factory.mktemp("run"), 12))


def look_at_everything(tab):
    """Open every problem, every completion and all thoughts."""
    tab.evaluate(
        """(async () => {
          for (const item of [...document.querySelectorAll('#entries [role=option]')]) {
            document.getElementById(item.id).click();
            for (const fold of document.querySelectorAll('.detail details')) fold.open = true;
            await new Promise(done => setTimeout(done, 5));
            for (const fold of document.querySelectorAll('.detail details')) fold.open = true;
          }
          Charts.all();
        })()"""
    )


# ---------------------------------------------------------------------------------------------- hostile texts


def test_nothing_that_a_model_wrote_acts(tab, tmp_path):
    tab.open(build_report(make_run(tmp_path, 11, HOSTILE)))
    look_at_everything(tab)
    assert tab.evaluate("document.documentElement.getAttribute('data-owned')") is None
    foreign = (
        "iframe,img,form,base,object,embed,link,meta[http-equiv=refresh],[onerror],[onload],[onfocus],[onclick],mglyph"
    )
    assert tab.evaluate(f"document.querySelectorAll({json.dumps(foreign)}).length") == 0
    assert tab.evaluate("[...document.querySelectorAll('button, input')].map(e => e.id)") == ["theme", "search"]
    assert tab.evaluate("document.querySelectorAll('style').length") == 1
    assert tab.evaluate("document.querySelectorAll('script').length") == 7
    assert tab.evaluate("[...document.querySelectorAll('a')].every(a => a.getAttribute('href').startsWith('#'))")
    assert tab.evaluate("document.querySelectorAll('math [href], math [style*=position]').length") == 0
    assert tab.evaluate("getComputedStyle(document.body).display") == "block"
    assert tab.evaluate("document.documentElement.scrollWidth") <= 1400
    assert [url for url in tab.requests() if not url.startswith("file:")] == []
    shown = tab.evaluate("JSON.stringify(JSON.parse(document.getElementById('data').textContent).completions.rows)")
    for text in HOSTILE[:8]:  # whole, and still there to read
        tail = text.split("</think>")[-1][:30].encode("utf-8", errors="replace").decode()
        assert json.dumps(tail, ensure_ascii=False)[1:-1] in shown


def test_hostile_texts_are_there_to_read(tab, tmp_path):
    tab.open(build_report(make_run(tmp_path, 2, HOSTILE[1:2])))
    tab.evaluate("for (const fold of document.querySelectorAll('.detail details')) fold.open = true")
    tab.until("document.querySelector('.detail .answer')")
    assert tab.evaluate("document.querySelector('.detail .answer').textContent").startswith("<img src=x onerror=")


def test_the_policy_stops_what_escaping_would_miss(tab, page, tmp_path):
    text = page.read_text(encoding="utf-8")
    broken = tmp_path / "broken.html"
    broken.write_text(text.replace("<header ", f'<script>{MARK}</script><img src=x onerror="{MARK}"><header ', 1))
    tab.open(broken)
    assert tab.evaluate("document.documentElement.getAttribute('data-owned')") is None
    start = text.index('<meta http-equiv="Content-Security-Policy"')
    unguarded = text[:start] + text[text.index(">", start) + 1 :]
    broken.write_text(unguarded.replace("<header ", f"<script>{MARK}</script><header ", 1))
    tab.open(broken)  # the control: without the policy it would have run
    assert tab.evaluate("document.documentElement.getAttribute('data-owned')") == "1"


def test_not_even_the_pages_own_scripts_can_write_html(tab, page):
    tab.open(page)
    said = tab.evaluate(
        "(() => { try { document.body.innerHTML = '<b>x</b>'; return 'written' } catch (e) { return e.name } })()"
    )
    assert said == "TypeError"
    assert tab.evaluate("document.querySelectorAll('h1').length") == 1


def test_the_console_has_nothing_to_complain_of(tab, page):
    tab.open(page)
    look_at_everything(tab)
    assert tab.errors() == []


# ------------------------------------------------------------------------------------------- the sample browser


def shown(tab) -> int:
    return tab.evaluate("document.querySelectorAll('#entries [role=option]').length")


def choose(tab, select: str, value: str) -> None:
    tab.evaluate(
        f"(() => {{ const s = document.getElementById('{select}'); s.value = '{value}'; "
        "s.dispatchEvent(new Event('change', {bubbles: true})) })()"
    )


def test_a_problem_is_followed_from_the_base_model_through_rl_to_the_last_model(tab, page):
    tab.open(page)
    heads = "[...document.querySelectorAll('.detail h4')].map(e => e.firstChild.textContent)"
    assert tab.evaluate(heads) == ["base", "after SFT", "after RL"]
    choose(tab, "where", "rollouts")
    assert tab.evaluate(heads) == ["RL, step 0", "RL, step 80"]
    assert tab.evaluate("document.querySelector('.group h4').textContent").endswith(
        "group of 8, 2 right, reward 1.32 on average"
    )
    rewards = tab.evaluate("[...document.querySelector('.group').querySelectorAll('.verdict')].map(e => e.textContent)")
    assert rewards == ["right"] * 2 + ["wrong"] * 6  # a group as a group, the best first


def test_every_reward_is_shown_with_value_and_reason(tab, page):
    tab.open(page)
    rows = tab.evaluate(
        "[...document.querySelectorAll('.model')].at(-1).querySelector('.parts').innerText.split('\\n')"
        ".map(line => line.split('\\t').map(w => w.trim()))"
    )
    assert {row[0] for row in rows if row[0] != "rewards"} == {"format", "correctness", "language"}
    assert all(len(row) == 3 and row[2] for row in rows if row[0] != "rewards")
    choose(tab, "where", "rollouts")
    assert "advantage +1.20" in tab.evaluate("document.querySelector('.group .card').textContent")


def test_thoughts_are_folded_and_unfold_by_key(tab, page):
    tab.open(page)
    fold = "document.querySelector('.card[open] details.thoughts')"
    visible = f"{fold}.querySelector('.text').checkVisibility()"
    tab.evaluate("[...document.querySelectorAll('.model')].at(-1).querySelector('.card').open = true")
    assert tab.evaluate(visible) is False
    tab.evaluate("document.getElementById('entries').focus()")
    tab.press("t")
    assert tab.evaluate(visible) is True
    tab.press("t")
    tab.click(".card[open] details.thoughts > summary")
    tab.until(visible)


def test_search_finds_words_of_problems_and_of_completions(tab, page):
    tab.open(page)
    everything = shown(tab)
    tab.evaluate("document.getElementById('entries').focus()")
    tab.press("/")
    tab.type("Trouve somme")
    tab.until(f"document.querySelectorAll('#entries [role=option]').length < {everything}")
    asked = tab.evaluate("[...document.querySelectorAll('#entries .ask')].map(e => e.textContent)")
    assert asked
    assert all(text.startswith("Trouve la somme") for text in asked)
    tab.evaluate("document.getElementById('search').select()")
    tab.type("nothing at all says this")
    tab.until("document.querySelectorAll('#entries [role=option]').length === 0")
    assert tab.evaluate("document.querySelector('.detail').textContent") == "Nothing matches."
    tab.evaluate("document.getElementById('search').select()")
    tab.type("ich beginne mit den einern")  # only ever in a completion's thoughts
    tab.until("document.querySelectorAll('#entries [role=option]').length > 0")
    asked = tab.evaluate("[...document.querySelectorAll('#entries .ask')].map(e => e.textContent)")
    assert asked
    assert all(text.startswith("Wie viel") for text in asked)


@pytest.mark.parametrize(
    ("value", "holds"),
    [
        ("wrong", "c.right === false"),
        ("right", "c.right === true"),
        ("mixed", "c.mixed"),
        ("truncated", "c.truncated"),
        ("malformed", "c.answer === null"),
        ("suspect", "c.suspect !== ''"),
        ("pushed", "c.right === false && c.advantage > 0"),
    ],
)
def test_filters_count_what_holds(tab, tmp_path, page, value, holds):
    tab.open(page)
    choose(tab, "filter", value)
    wanted = tab.evaluate(
        "(() => { const d = JSON.parse(document.getElementById('data').textContent).completions;"
        "const all = d.rows.map(r => Object.fromEntries(d.fields.map((f, i) => [f, r[i]])));"
        f"const some = all.filter(c => {holds}); return [new Set(some.map(c => c.problem)).size, some.length] }})()"
    )
    words = tab.evaluate("document.querySelector('.count[aria-live]').textContent").split()
    assert [int(words[0]), int(words[2])] == wanted


def test_sorting_orders_by_what_it_says(tab, page):
    tab.open(page)
    data = tab.evaluate("JSON.parse(document.getElementById('data').textContent)")
    names = data["completions"]["fields"]
    longest: dict[str, int] = {}
    for row in (dict(zip(names, row, strict=True)) for row in data["completions"]["rows"]):
        question = data["problems"][row["problem"]]["text"]
        longest[question] = max(longest.get(question, 0), row["tokens"])
    choose(tab, "sort", "longest")
    order = tab.evaluate("[...document.querySelectorAll('#entries .ask')].map(e => e.textContent)")
    assert len(order) > 5
    assert [longest[question] for question in order] == sorted(longest.values(), reverse=True)
    choose(tab, "sort", "steps")
    assert "step 0" in tab.evaluate("document.querySelector('#entries [role=option]').textContent")


def test_the_browser_is_used_by_keyboard_alone(tab, page):
    tab.open(page)
    at = "[...document.querySelectorAll('#entries [role=option]')].findIndex(e => e.ariaSelected === 'true')"
    tab.evaluate("document.getElementById('entries').focus()")
    assert tab.evaluate(at) == 0
    tab.press("ArrowDown")
    tab.press("j")
    assert tab.evaluate(at) == 2
    tab.press("ArrowUp")
    assert tab.evaluate(at) == 1
    assert tab.evaluate("document.getElementById('entries').getAttribute('aria-activedescendant')") == "entry-1"
    tab.press("End")
    assert tab.evaluate(at) == shown(tab) - 1
    tab.press("Enter")
    assert tab.evaluate("document.activeElement.className") == "detail"
    tab.press("Escape")
    assert tab.evaluate("document.activeElement.id") == "entries"
    tab.evaluate("document.getElementById('theme').focus()")  # elsewhere on the page keys are the browser's own
    tab.press("k")
    assert tab.evaluate(at) == shown(tab) - 1


def test_a_deep_link_leads_to_its_completion(tab, page):
    tab.open(page)
    tab.click("#entries [role=option]:nth-child(5)")
    problem = tab.evaluate("document.querySelector('.detail h3').textContent")
    card = "[...document.querySelectorAll('.model')].at(-1).querySelector('.card[open] .link')"
    link = tab.evaluate(f"{card}.getAttribute('href')")
    assert link.startswith("#problem=")
    tab.open(page, link)
    assert tab.evaluate("document.querySelector('.detail h3').textContent") == problem
    assert tab.evaluate("document.querySelectorAll('.card.linked[open]').length") == 1
    assert tab.evaluate("document.activeElement.closest('.card.linked') !== null")
    assert tab.evaluate("document.getElementById('samples').getBoundingClientRect().top") < 400
    tab.open(page, "#problem=gone&at=%00")  # a link to what is not there leaves the page as it is
    assert tab.errors() == []
    assert shown(tab) > 0


WITHIN = (
    "(() => {{ const a = document.querySelector('{inner}').getBoundingClientRect(), "
    "b = document.querySelector('{pane}').getBoundingClientRect(); return a.top >= b.top - 1 && "
    "a.top < b.bottom - 20 }})()"
)


def test_a_link_scrolls_both_panes_to_what_it_names(tab, tmp_path):
    page = build_report(make_run(tmp_path, 60))
    tab.open(page)
    tab.evaluate("document.getElementById('entries').focus()")
    tab.press("End")  # far down the list
    assert tab.evaluate(WITHIN.format(inner="#entries [aria-selected=true]", pane="#entries"))
    tab.evaluate("for (const card of document.querySelectorAll('.model:last-child .card')) card.open = true")
    tab.until("document.querySelectorAll('.model:last-child .link').length === 5")
    link = tab.evaluate("[...document.querySelectorAll('.model:last-child .link')].at(-1).getAttribute('href')")
    tab.resize(1400, 420)  # so low that the panes must scroll
    tab.open(page, link)
    assert tab.evaluate("document.querySelector('.detail').scrollTop") > 0
    assert tab.evaluate(WITHIN.format(inner=".card.linked", pane=".detail"))
    assert tab.evaluate(WITHIN.format(inner="#entries [aria-selected=true]", pane="#entries"))
    tab.evaluate("document.getElementById('entries').focus()")
    tab.press("Home")
    assert tab.evaluate("document.getElementById('entries').scrollTop") == 0
    tab.resize(1400, 1000)


def test_mathematics_is_typeset_and_money_is_not(tab, tmp_path):
    tab.open(build_report(make_run(tmp_path, 4, MATHS)))
    look_at_everything(tab)
    tex = set(tab.evaluate("[...document.querySelectorAll('.detail math annotation')].map(e => e.textContent)"))
    assert {r"\frac{1}{2}", "x^2", r"\sum_i i", r"\boxed{42}", r"\sqrt{2}"} <= tex
    assert "It costs $5 and $6." in tab.evaluate("document.querySelector('.detail').textContent")
    assert r"$\frac{$" in tab.evaluate("document.querySelector('.detail').textContent")  # unreadable: as it was written
    assert tab.evaluate("document.querySelector('.detail mfrac').getBoundingClientRect().height") > 10


def test_right_to_left_text_runs_right_to_left(tab, page):
    tab.open(page)
    tab.evaluate("document.getElementById('search').focus()")
    tab.type("مجموع")
    tab.until("document.querySelectorAll('#entries [role=option]').length === 3")
    assert tab.evaluate("getComputedStyle(document.querySelector('.detail h3')).direction") == "rtl"
    assert tab.evaluate("getComputedStyle(document.querySelector('#entries .ask')).direction") == "rtl"
    assert tab.evaluate("getComputedStyle(document.querySelector('.detail .answer')).direction") == "ltr"


# --------------------------------------------------------------------------------------------------- figures


@pytest.mark.parametrize(
    ("unit", "values"),  # small ones, ties, and ones that round up to another size
    [
        ("share", [0.0, 0.0003, 0.001, 0.391, 0.3125, 0.4375, 1.0]),
        ("number", [0.0, 0.004, 0.25, 1.125, 1.375, 60.25, 999.6, 1234.5, 2345.5, 10_050.0, 999_600.0, 2_125_000.0]),
    ],
)
def test_figures_and_tables_write_numbers_alike(tab, page, unit, values):
    tab.open(page)
    told = tab.evaluate(f"{json.dumps(values)}.map(value => Charts.number(value, '{unit}'))")
    assert told == [number(value, unit) for value in values]


def test_curves_are_read_off_by_hovering(tab, page):
    tab.open(page)
    tab.evaluate("Charts.all()")
    place = tab.evaluate(
        "[...document.querySelectorAll('figure')].find(f => f.textContent.trim().startsWith('Parts of the reward'))"
        ".querySelector('.plot').id"
    )
    told = f"document.querySelector('#{place} .legend').textContent"
    before = tab.evaluate(told)
    tab.hover(f"#{place} .u-over", 0.5)
    tab.until(f"document.querySelector('#{place} .at').textContent.startsWith('step')")
    after = tab.evaluate(told)
    step = int(tab.evaluate(f"document.querySelector('#{place} .at').textContent").split()[1])
    assert 40 <= step <= 50
    chart = tab.evaluate(
        f"JSON.parse(document.getElementById('data').textContent).charts.find(c => c.id === '{place}')"
    )
    value = chart["series"][0]["values"][chart["x"].index(step)]
    assert f"format{value:.3g}" in after.replace("1.00", "1")
    assert before != after
    steps = tab.evaluate("[...document.querySelectorAll('.plot .at')].map(e => e.textContent)")
    others = sum(text.startswith("step") for text in steps)
    assert others > 5  # the stage's other figures show the same step


def test_figures_have_names_for_those_who_do_not_see_them(tab, page):
    tab.open(page)
    tab.evaluate("Charts.all()")
    names = tab.evaluate("[...document.querySelectorAll('.uplot')].map(e => e.getAttribute('aria-label'))")
    assert len(names) > 15
    assert any(name.startswith("Loss. training from ") for name in names)
    assert tab.evaluate("[...document.querySelectorAll('.uplot')].every(e => e.getAttribute('role') === 'img')")


# ------------------------------------------------------------------------------------------ widths and schemes


def test_the_page_fits_every_width(tab, tmp_path):
    long_words = "<think>" + "9" * 3000 + "</think>" + "x" * 3000
    run = make_run(tmp_path, 6, [long_words])
    manifest = json.loads((run / "manifest.json").read_text())
    manifest["stages"][1] |= {"name": "n" * 200, "status": "s" * 200}
    manifest["stages"][0] |= {"kind": "k" * 200, "results": {"summary": "o" * 200}}
    (run / "manifest.json").write_text(json.dumps(manifest | {"name": "r" * 200}))
    tab.open(build_report(run))
    for width in (360, 768, 1600):
        tab.resize(width)
        tab.evaluate("Charts.all()")
        tab.until(f"document.documentElement.scrollWidth <= {width}")
    tab.resize(1400, 1000)


def test_the_list_says_how_many_models_it_leaves_out(tab, tmp_path):
    tab.open(build_comparison([make_run(tmp_path / name, 4) for name in ("a", "b", "c")]))
    strips = "e => [...e.querySelectorAll('.strips > span')].map(s => s.innerText)"
    told = tab.evaluate(f"[...document.querySelectorAll('#entries [role=option]')].map({strips})")
    held_out = [strips for strips in told if len(strips) > 6]  # three models of each run
    assert len(held_out) == 4
    assert {strips[-1] for strips in held_out} == {"and 3 more"}


def test_runs_side_by_side_fit_a_narrow_screen(tab, tmp_path):
    runs = [make_run(tmp_path / f"qwen3-1.7b-{kind}-{'with-a-long-name-' * 4}", 6) for kind in ("long", "short")]
    tab.resize(360)
    tab.open(build_comparison(runs))
    tab.evaluate("Charts.all()")
    tab.until("document.documentElement.scrollWidth <= 360", 60)
    tab.resize(1400, 1000)


def axe(tab, page: Path) -> list[str]:
    """What axe finds on a page; it writes HTML, which the page's policy forbids, so it looks at a page without one."""
    guarded = page.read_text(encoding="utf-8")
    start = guarded.index('<meta http-equiv="Content-Security-Policy"')
    unguarded = page.with_name("unguarded.html")
    unguarded.write_text(guarded[:start] + guarded[guarded.index(">", start) + 1 :], encoding="utf-8")
    tab.open(unguarded)
    tab.evaluate("Charts.all(); document.querySelectorAll('details').forEach(d => d.open = true)")
    tab.evaluate(AXE.read_text(encoding="utf-8") + "; 0")
    return tab.evaluate(
        "axe.run(document, {resultTypes: ['violations']}).then(r => r.violations.map(v => "
        "v.id + ': ' + v.nodes.slice(0, 3).map(n => n.html.slice(0, 120) + ' ' + n.failureSummary).join(' | ')))"
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1400])
def test_axe_finds_nothing(tab, tmp_path, scheme, width):
    tab.scheme(scheme)
    tab.resize(width)
    found = axe(tab, build_report(make_run(tmp_path, 8)))
    tab.resize(1400, 1000)
    assert found == []


def test_a_comparison_is_a_page_as_good(tab, tmp_path):
    a = make_run(tmp_path / "a", 12)
    b = make_run(tmp_path / "b", 12, rates={"base": 0.0, "sft": 0.4, "grpo": 0.3}, seed=3)
    page = build_comparison([a, b])
    tab.scheme("light")
    tab.open(page)
    look_at_everything(tab)
    assert tab.errors() == []
    assert tab.evaluate("document.querySelectorAll('.uplot').length") > 8
    assert tab.evaluate("document.querySelector('.detail h4').firstChild.textContent") == "a: base"
    assert axe(tab, page) == []


def test_the_scheme_follows_the_system_and_the_switch(tab, page):
    ground = "getComputedStyle(document.body).backgroundColor"
    tab.scheme("light")
    tab.open(page)
    light = tab.evaluate(ground)
    tab.scheme("dark")
    dark = tab.evaluate(ground)
    assert light != dark
    tab.click("#theme")
    assert tab.evaluate(ground) == light
    tab.click("#theme")
    assert tab.evaluate(ground) == dark
    tab.click("#theme")
    tab.scheme("light")
    assert tab.evaluate(ground) == light


def test_paper_breaks_no_word_of_a_table(tab, page):
    tab.open(page)
    tab.resize(794)  # A4
    tab.call("Emulation.setEmulatedMedia", media="print")
    try:
        lines = (
            "th => { const r = document.createRange(); r.selectNodeContents(th); return r.getClientRects().length; }"
        )
        words = "[...document.querySelectorAll('table.main thead th')].filter(th => !th.textContent.includes(' '))"
        assert set(tab.evaluate(f"{words}.map({lines})")) == {1}
    finally:
        tab.call("Emulation.setEmulatedMedia", media="")
        tab.resize(1400, 1000)


def test_it_prints(tab, page):
    tab.open(page)
    tab.call("Emulation.setEmulatedMedia", media="print")
    try:
        assert tab.evaluate("getComputedStyle(document.querySelector('nav.top')).display") == "none"
        assert tab.evaluate("getComputedStyle(document.querySelector('.detail')).overflowY") == "visible"
        pdf = tab.call("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)["data"]
    finally:
        tab.call("Emulation.setEmulatedMedia", media="")
    assert len(pdf) > 50_000


def test_numbers_and_samples_are_there_without_scripts(tab, page):
    tab.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        tab.open(page)
        text = tab.call("DOM.getDocument", depth=-1)
        tab.call("Emulation.setScriptExecutionDisabled", value=False)
        shown_text = tab.evaluate("document.body.innerText")
    finally:
        tab.call("Emulation.setScriptExecutionDisabled", value=False)
    assert text
    assert "Searching and filtering need scripts" in shown_text
    assert "after RL" in shown_text
