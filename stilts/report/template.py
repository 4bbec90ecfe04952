"""The page of the report as a Jinja template. It lies in a module so that the digest of the code covers it."""

BUDGET = """
{% if gains %}
<h2 id="gains">What a budget buys</h2>
<p>Difference to the baseline (none) in points of the mean score in the other languages; in each arm and seed the
configuration is the best on dev data among those that the budget affords. In brackets the {{ level }} interval.
▲ gain, ▼ loss that holds after correction for the number of comparisons; ≈ open.</p>
{% for table in gains %}{% if loop.index == 2 %}<details><summary>Smaller budgets</summary>{% endif %}
<div class="scroll" tabindex="0" role="region" aria-label="{{ table.caption }}"><table>
<caption>{{ table.caption }}</caption>
<thead><tr><th scope="col" class="text">recipe</th>
{% for head in table.heads %}<th scope="col"{% if loop.first %} class="total"{% endif %}>{{ head }}</th>{% endfor %}
</tr></thead>
<tbody>{% for row in table.rows %}<tr><th scope="row">{{ row.recipe }}</th>
{% for cell in row.cells %}<td class="{{ cell.tone }}{{ " total" if cell.total }}"><b>{{ cell.sign }}
{{ cell.difference }}</b><small>{{ cell.interval }}</small></td>{% endfor %}</tr>
{% endfor %}</tbody></table></div>
{% if loop.last and loop.length > 1 %}</details>{% endif %}{% endfor %}
{% endif %}

{% if verdicts %}
<h2 id="claims">The paper's claims</h2>
<p>Each claim as a test of this experiment; verdicts go by the direction, no published figure enters them.
{{ verdicts[0].scope|capitalize }}.</p>
<div class="scroll" tabindex="0" role="region" aria-label="The paper's claims"><table>
<caption>Verdicts, from <a href="../claims/paper.csv">claims/paper.csv</a></caption>
<thead><tr><th scope="col" class="text">claim</th><th scope="col" class="text">verdict</th>
<th scope="col">published</th><th scope="col">here</th><th scope="col" class="text">why</th></tr></thead>
<tbody>{% for row in verdicts %}<tr><th scope="row" class="claim">{{ row.claim }}<small>{{ row.source }}
({{ row.certainty }})</small></th><td class="text {{ row.tone }}">{{ row.sign }} {{ row.verdict }}</td>
<td>{{ row.theirs }}</td><td>{{ row.ours }}</td><td class="wide small">{{ row.reason }}</td></tr>
{% endfor %}</tbody></table></div>
{% endif %}
"""

COSTS = """
{% if costs %}
<h2 id="costs">Costs</h2>
<p>What one example costs at each budget point, mean over languages; a dash is a measurement that is not there, and
<a href="../costs/costs.csv">costs.csv</a> says why, with the spread of each measurement.</p>
{% for table in costs %}{% if loop.index == 2 %}<details><summary>Other targets</summary>{% endif %}
<div class="scroll" tabindex="0" role="region" aria-label="Costs of {{ table.target }}"><table>
<caption>{{ table.target }}</caption>
<thead><tr><th scope="col" class="text">budget point</th>
{% for head in table.heads %}<th scope="col">{{ head }}</th>{% endfor %}</tr></thead>
<tbody>{% for row in table.rows %}<tr><th scope="row">{{ row.place }}</th>
{% for value in row.numbers %}<td>{{ value }}</td>{% endfor %}</tr>{% endfor %}</tbody></table></div>
{% if loop.last and loop.length > 1 %}</details>{% endif %}{% endfor %}
<div class="scroll" tabindex="0" role="region" aria-label="Training costs"><table>
<caption>Training, TFLOP a run (mean over seeds), beside what it gained at the largest budget:
<a href="../costs/recipe_costs.csv">recipe_costs.csv</a></caption>
<thead><tr><th scope="col" class="text">recipe</th><th scope="col">intermediate phase</th>
<th scope="col">target phase</th><th scope="col">gain, points</th></tr></thead>
<tbody>{% for row in training %}<tr><th scope="row">{{ row.recipe }}<small>{{ row.backbone }}</small></th>
<td>{{ row.intermediate }}</td><td>{{ row.target }}</td><td>{{ row.gain }}</td></tr>
{% endfor %}</tbody></table></div>
{% endif %}
"""

MORE = """
{% if places|selectattr("benchmarks")|list %}
<h2 id="benchmarks">Benchmarks</h2>
<p>The official means: the plain mean over a benchmark's tasks of the plain mean over its languages, source language
included; question answering counts as the mean of F1 and exact match. A mean with a member missing is not printed.</p>
{% for place in places[:1] %}{% for table in place.benchmarks %}{% if table.rows %}
<div class="scroll" tabindex="0" role="region" aria-label="{{ table.caption }}"><table>
<caption>{{ table.caption }}</caption>
<thead><tr><th scope="col" class="text">recipe</th>
{% for head in table.heads %}<th scope="col"{% if head.total %} class="total"{% endif %}>{{ head.name }}
<small>{{ head.note }}</small></th>{% endfor %}</tr></thead>
<tbody>{% for row in table.rows %}<tr{% if loop.first %} class="base"{% endif %}><th scope="row">{{ row.recipe }}</th>
{% for cell in row.cells %}{{ score_cell(cell) }}{% endfor %}</tr>
{% endfor %}</tbody></table></div>{% endif %}
{% if table.lost %}<p>Not printed, {{ table.caption }}:</p>
<ul>{% for text in table.lost %}<li>{{ text }}</li>{% endfor %}</ul>{% endif %}
{% endfor %}{% endfor %}
{% endif %}

{% if places|selectattr("best.rows")|list %}
<h2 id="best">Best per target</h2>
<p>For each target the recipe with the highest mean score on source-language dev data, over seeds; no test score takes
part. Targets without dev data take the recipe with the highest mean over the other targets' dev scores.</p>
{% for place in places[:1] if place.best.rows %}
<div class="scroll" tabindex="0" role="region" aria-label="{{ place.best.caption }}"><table>
<caption>{{ place.best.caption }}</caption>
<thead><tr><th scope="col" class="text">target</th><th scope="col" class="text">recipe</th>
<th scope="col" class="text">chosen on</th><th scope="col">all languages</th><th scope="col">zero-shot</th></tr></thead>
<tbody>{% for row in place.best.rows %}<tr><th scope="row">{{ row.target }}</th><td class="text">{{ row.recipe }}</td>
<td class="text">{{ row.chosen_on }}</td>{% for cell in row.cells %}{{ score_cell(cell) }}{% endfor %}</tr>
{% endfor %}</tbody></table></div>
{% endfor %}
{% endif %}

{% if places|selectattr("published.rows")|list %}
<h2 id="published">Published numbers</h2>
<p>What others have reported for the same target, protocol and languages; * computed from published values. Other
models, data versions and settings stand behind them: read them as a scale, not as a test.</p>
{% for place in places[:1] %}{% with table = place.published %}{% if table.rows %}
<div class="scroll" tabindex="0" role="region" aria-label="{{ table.caption }}"><table>
<caption>{{ table.caption }}</caption>
<thead><tr><th scope="col" class="text">target</th><th scope="col" class="text">metric</th>
{% for recipe in table.recipes %}<th scope="col">{{ recipe }}<small>ours</small></th>{% endfor %}
{% for system in table.systems %}<th scope="col" class="{{ "sum" if loop.first }}">{{ system }}
<small>published</small></th>{% endfor %}</tr></thead>
<tbody>{% for row in table.rows %}<tr><th scope="row">{{ row.target }}</th><td class="text">{{ row.metric }}</td>
{% for value in row.ours %}<td>{{ value }}</td>{% endfor %}
{% for value in row.theirs %}<td class="{{ "sum" if loop.first }}">{{ value }}</td>{% endfor %}</tr>
{% endfor %}</tbody></table></div>
<ul>{% for source in table.sources %}<li>{{ source }}</li>{% endfor %}</ul>
{% endif %}{% endwith %}{% endfor %}
{% endif %}
"""

PAGE = (
    """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{ title }}</title>
<link rel="icon" href="data:,">
<style>{{ css }}</style>
</head>
<body>
<header>
<h1>{{ title }}</h1>
<p class="meta">Experiment <code>{{ experiment }}</code> · {{ targets|length }} targets · {{ recipes|length }} recipes ·
{{ seeds|length }} seed{{ "s" if seeds|length != 1 }} · source language {{ source }}</p>
{% if stand_in %}<p class="note" role="note"><strong>Stand-in.</strong> {{ stand_in }}</p>{% endif %}
</header>
<main>
<p class="question"><strong>Question.</strong> {{ question }}</p>
<section class="answer" aria-label="Answer">
<h2>Answer</h2>
<p class="lead">{{ lead }}</p>
<ul>{% for sentence in sentences %}<li>{{ sentence }}</li>{% endfor %}</ul>
{% if gains %}<p class="meta">Rows of <a href="../claims/claims.csv">claims.csv</a>, budget by budget
<a href="#gains">below</a>.</p>{% endif %}
</section>
{% if places|length > 1 %}<p class="meta">Sections that name no budget show the first backbone and budget point,
the uncut model; the files at the end hold all {{ places|length }}.</p>{% endif %}
<nav aria-label="Contents"><ul>
{% if gains %}<li><a href="#gains">What a budget buys</a></li>{% endif %}
{% if verdicts %}<li><a href="#claims">The paper's claims</a></li>{% endif %}
<li><a href="#recipes">Targets and recipes</a></li>
{% if costs %}<li><a href="#costs">Costs</a></li>{% endif %}
{% if places|selectattr("benchmarks")|list %}<li><a href="#benchmarks">Benchmarks</a></li>{% endif %}
{% if places|selectattr("best.rows")|list %}<li><a href="#best">Best per target</a></li>{% endif %}
{% if places|selectattr("published.rows")|list %}<li><a href="#published">Published numbers</a></li>{% endif %}
<li><a href="#controls">Controls</a></li>
{% if places|selectattr("charts")|list %}<li><a href="#layers">Retrieval by layer</a></li>{% endif %}
<li><a href="#languages">Languages</a></li>
{% if gaps %}<li><a href="#missing">What is missing</a></li>{% endif %}
<li><a href="#data">Data</a></li><li><a href="#settings">Settings</a></li><li><a href="#files">Files</a></li>
</ul></nav>

"""
    + BUDGET
    + """
<h2 id="recipes">Targets and recipes</h2>
<p>First row: the score without intermediate training, in percent, mean over seeds and languages. Below: the difference
to it in points, paired by seed, ± its standard deviation over seeds; small print: the score itself.
▲ higher, ▼ lower in every seed; ≈ the seeds disagree. Question answering is the mean of F1 and exact match.</p>
{% for place in places %}{% if loop.index == 2 %}<details><summary>Other budget points</summary>{% endif %}
{% for table in place.matrices %}
<div class="scroll" tabindex="0" role="region" aria-label="{{ table.caption }}"><table>
<caption>{{ table.caption }}</caption>
<thead><tr><th scope="col" class="text">recipe</th>
{% for head in table.heads %}<th scope="col"{% if head.total %} class="total"{% endif %}>{{ head.name }}
<small>{{ head.note }}</small></th>{% endfor %}</tr></thead>
<tbody>{% for row in table.rows %}<tr{% if loop.first %} class="base"{% endif %}><th scope="row">{{ row.recipe }}</th>
{% for cell in row.cells %}{{ score_cell(cell) }}{% endfor %}</tr>
{% endfor %}</tbody></table></div>
{% endfor %}{% if loop.last and loop.length > 1 %}</details>{% endif %}{% endfor %}
"""
    + COSTS
    + MORE
    + """
<h2 id="controls">Do the scores count?</h2>
<p>A score says something about transfer only if it beats blind or untrained arms: an encoder with random weights
(random-init), a model that sees one of two inputs (blind), the commonest answer (majority), an answer of the right type
drawn at random (type-chance). “yes”: above every control in every seed, by more than twice the error that the size of
the test sets allows; “no”: not above one of them; “unclear”: between. Scores without intermediate training.</p>
{% for place in places[:1] %}
<div class="scroll" tabindex="0" role="region" aria-label="Scores and controls{{ place.suffix }}"><table>
<caption>Scores and controls{{ place.suffix }}, percent</caption>
<thead><tr><th scope="col" class="text">target</th><th scope="col" class="text">languages</th>
<th scope="col" class="text">counts</th><th scope="col">score</th>
{% for name in place.controls.names %}<th scope="col" class="{{ "sum" if loop.first }}">{{ name }}</th>{% endfor %}
<th scope="col">margin<small>to the strongest</small></th></tr></thead>
<tbody>{% for row in place.controls.rows %}<tr><th scope="row">{{ row.target }}</th>
<td class="text">{{ row.languages }}</td><td class="text {{ row.counts }}">{{ row.sign }} {{ row.counts }}</td>
<td>{{ row.score }}</td>{% for value in row.numbers %}<td class="{{ "sum" if loop.first }}">{{ value }}</td>{% endfor %}
<td>{{ row.margin }}</td></tr>
{% endfor %}</tbody></table></div>
{% endfor %}

{% if places|selectattr("charts")|list %}
<h2 id="layers">Retrieval by layer</h2>
<p>A sentence in the source language looks for its translation: share found first, by the hidden state that is compared
(0 is the embedding layer), mean over the other languages and over seeds. The dotted line marks the layer of the
headline score, fixed in the configuration beforehand.</p>
{% for place in places[:1] %}{% for chart in place.charts %}
<figure>{{ chart.picture }}<figcaption>{{ chart.caption }}</figcaption></figure>
<div class="scroll" tabindex="0" role="region" aria-label="{{ chart.caption }}"><table>
<caption>{{ chart.caption }}: percent found first</caption>
<thead><tr><th scope="col" class="text">recipe</th>
{% for layer in chart.layers %}<th scope="col">{{ layer }}</th>{% endfor %}</tr></thead>
<tbody>{% for row in chart.rows %}<tr><th scope="row">{{ row.recipe }}</th>
{% for value in row.numbers %}<td>{{ value }}</td>{% endfor %}</tr>
{% endfor %}</tbody></table></div>
{% endfor %}{% endfor %}
{% endif %}

<h2 id="languages">Languages</h2>
<p>The same differences language by language; {{ source }} is the language of training.</p>
{% for place in places[:1] %}{% for table in place.languages %}
<div class="scroll" tabindex="0" role="region" aria-label="{{ table.caption }}"><table>
<caption>{{ table.caption }}</caption>
<thead><tr><th scope="col" class="text">language</th><th scope="col">n</th>
{% for recipe in recipes %}<th scope="col">{{ recipe }}</th>{% endfor %}
{% for name in table.controls %}<th scope="col" class="{{ "sum" if loop.first }}">{{ name }}
<small>control</small></th>{% endfor %}</tr></thead>
<tbody>{% for row in table.rows %}<tr><th scope="row">{{ row.name }}<small>{{ row.note }}</small></th>
<td>{{ row.n }}</td>
{% for cell in row.cells %}{{ score_cell(cell) }}{% endfor %}
{% for value in row.controls %}<td class="{{ "sum" if loop.first }}">{{ value }}</td>{% endfor %}</tr>
{% endfor %}</tbody></table></div>
{% endfor %}{% endfor %}

{% if gaps %}
<h2 id="missing">What is missing</h2>
<p>Means over these scores are left out rather than taken over the rest.</p>
<ul>{% for gap in gaps %}<li>{{ gap }}</li>{% endfor %}</ul>
{% endif %}

<h2 id="data">Data</h2>
{% if data_note %}<p>{{ data_note }}</p>{% endif %}
{% for note in notes %}<p class="note" role="note">{{ note }}</p>{% endfor %}
<div class="scroll" tabindex="0" role="region" aria-label="Data"><table>
<caption>Tasks of the study, with the sources whose form they have</caption>
<thead><tr><th scope="col" class="text">task</th><th scope="col" class="text">what it is</th>
<th scope="col" class="text">source</th><th scope="col" class="text">licence</th>
<th scope="col" class="text">citation</th></tr></thead>
<tbody>{% for task in tasks %}<tr><th scope="row">{{ task.name }}<small>{{ task.role }}</small></th>
<td class="wide">{{ task.description }}</td>
<td class="text">{% if task.url %}<a href="{{ task.url }}" rel="noreferrer">{{ task.source }}</a>
{% else %}{{ task.source }}{% endif %}<small>{{ task.revision }}</small></td>
<td class="wide small">{{ task.licence }}</td><td class="wide small">{{ task.citation }}</td></tr>
{% endfor %}</tbody></table></div>
{% if faults %}<p>Faults of the data that were counted when examples were prepared, in rows or places over all splits
and languages; what each word means and what was done stands in docs/data.md.</p>
<ul>{% for task, text in faults %}<li><b>{{ task }}</b>: {{ text }}</li>{% endfor %}</ul>{% endif %}

<h2 id="settings">Settings</h2>
<div class="columns">{% for part in settings %}<h3>{{ part.name }}</h3>
<dl class="settings">
{% for key, value in part.entries %}<dt>{{ key }}</dt><dd>{{ value }}</dd>{% endfor %}</dl>{% endfor %}</div>

<h2 id="files">Files</h2>
<p>Every number above is a cell of one of these tables; their columns are explained in the project's
<code>docs/results.md</code>.</p>
<ul>{% for file in files %}
<li><a href="../{{ file.name }}">{{ file.name }}</a>: {{ file.what }}</li>{% endfor %}</ul>
</main>
<footer>Made by the workflow from <code>scores.csv</code>; the page needs no network and runs no script.</footer>
</body>
</html>
"""
)

CELL = """{% macro score_cell(cell) %}<td class="{{ cell.tone }}{{ " total" if cell.total }}">\
{% if cell.difference %}<b>{{ cell.sign }}&nbsp;{{ cell.difference }}</b>{{ cell.spread }}<small>{{ cell.value }}\
</small>{% else %}{{ cell.value }}{{ cell.spread }}{% if cell.why %}<small>{{ cell.why }}</small>{% endif %}{% endif %}\
</td>{% endmacro %}"""
