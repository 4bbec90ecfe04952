"""The page of the report as a Jinja template. It lies in a module so that the digest of the code covers it."""

MACROS = """{% macro score_cell(cell) %}<td class="{{ cell.tone }}{{ " total" if cell.total }}">\
{% if cell.difference %}<b>{{ cell.sign }}&nbsp;{{ cell.difference }}</b>{{ cell.spread }}<small>{{ cell.value }}\
</small>{% else %}{{ cell.value }}{{ cell.spread }}{% if cell.why %}<small>{{ cell.why }}</small>{% endif %}{% endif %}\
</td>{% endmacro %}
{% macro framed(caption, file) %}<div class="scroll" tabindex="0" role="region" aria-label="{{ caption }}">
<table class="sort"><caption>{{ caption }} · <a href="../{{ file }}">{{ file }}</a></caption>
{{ caller() }}</table></div>{% endmacro %}
{% macro chart(name) %}{% if name in charts %}{% with c = charts[name] %}
{% if c.spec %}<figure><div class="picks"></div><div class="chart" id="chart-{{ name }}">
<div class="live" role="group" aria-label="{{ c.title }}"></div>
<img class="still" src="{{ c.still }}" alt="{{ c.description }}" loading="lazy">
<script type="application/json">{{ c.spec }}</script></div>
<figcaption><b>{{ c.title }}.</b> {{ c.caption }} <span class="files">{% for kind in ("csv", "svg", "png") %}
<a href="../figures/{{ c.files[kind] }}" aria-label="{{ c.title }} as {{ kind|upper }}">{{ kind|upper }}</a>{% endfor %}
</span></figcaption></figure>
{% else %}<p class="soft">No chart “{{ c.title }}”: {{ c.reason }}.</p>{% endif %}{% endwith %}{% endif %}{% endmacro %}
{% macro recipe_heads(heads) %}<thead><tr><th scope="col" class="text">recipe</th>
{% for head in heads %}<th scope="col"{% if head.total %} class="total"{% endif %}>{{ head.name }}
<small>{{ head.note }}</small></th>{% endfor %}</tr></thead>{% endmacro %}
{% macro recipe_rows(rows) %}<tbody>{% for row in rows %}<tr{% if loop.first %} class="base"{% endif %}>
<th scope="row">{{ row.recipe }}</th>{% for cell in row.cells %}{{ score_cell(cell) }}{% endfor %}</tr>
{% endfor %}</tbody>{% endmacro %}
{% macro claim_list(rows) %}<ol class="claims">{% for row in rows %}
<li><p><span class="badge {{ row.tone }}">{{ row.sign }} {{ row.verdict }}</span> <b>{{ row.claim }}</b></p>
<p>{% if row.ours %}Here {{ row.ours }}. {% endif %}{% if row.theirs %}
Published{{ ", as told," if row.certainty != "verified" }} {{ row.theirs }}. {% endif %}
<span class="soft">{{ row.reason }}. Source: {{ row.source }} ({{ row.certainty }}); row
<code>{{ row.id }}</code>.</span></p></li>{% endfor %}</ol>{% endmacro %}
"""

HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{{ policy }}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{ title }}</title>
<link rel="icon" href="data:,">
<style>{{ css }}</style>
</head>
<body>
<a class="skip" href="#answer">Skip to the answer</a>
<header>
<p class="meta">{{ title }} · experiment <code>{{ experiment }}</code> · {{ targets|length }} targets ·
{{ recipes|length }} recipes · {{ seeds|length }} seed{{ "s" if seeds|length != 1 }}</p>
<h1>{{ short }}</h1>
<p class="question">{{ question }}</p>
{% if stand_in %}<p class="note" role="note"><strong>Stand-in.</strong> {{ stand_in }}</p>{% endif %}
</header>
<main>
<section class="answer" id="answer" aria-labelledby="answer-head">
<div><h2 id="answer-head">Answer</h2>
{% if headline %}<p class="headline">{{ headline }}</p>{% endif %}
<p class="lead">{{ lead }}</p>
<ul>{% for sentence in sentences %}<li>{{ sentence }}</li>{% endfor %}</ul>
</div>
{% if forest %}<figure>{{ forest }}<figcaption>Difference of the mean score in the other languages to no intermediate
training, points, with {{ level }} intervals. Filled: holds after correction for the number of tests; hollow: open.
Rows <code>overall</code> of <a href="../claims/claims.csv">claims.csv</a>.</figcaption></figure>{% endif %}
</section>
<nav aria-label="Contents"><ul>
<li><a href="#budgets">Budgets</a></li><li><a href="#recipes">Recipes and targets</a></li>
<li><a href="#languages">Languages</a></li>
{% if layers %}<li><a href="#layers">Retrieval by layer</a></li>{% endif %}
<li><a href="#training">Training cost</a></li>
{% if decided or undecided %}<li><a href="#claims">The paper’s claims</a></li>{% endif %}
{% if published %}<li><a href="#published">Published numbers</a></li>{% endif %}
{% if costs %}<li><a href="#costs">Inference cost</a></li>{% endif %}
{% if "training_curves" in charts %}<li><a href="#curves">Training curves</a></li>{% endif %}
<li><a href="#controls">Controls</a></li>
{% if gaps %}<li><a href="#missing">What is missing</a></li>{% endif %}
<li><a href="#data">Data</a></li><li><a href="#provenance">Provenance</a></li><li><a href="#files">Files</a></li>
</ul></nav>
"""

RESULTS = """
<h2 id="budgets">What does a budget buy?</h2>
<p>A budget buys the configuration that dev data chooses among those that it affords; no test score takes part in the
choice.</p>
{{ chart("score_at_budget") }}
{{ chart("pareto") }}
{% if gains %}<details><summary>Differences to no intermediate training, budget by budget</summary>
<p>Points of the mean score in the other languages, below them the {{ level }} interval. ▲ gain, ▼ loss that holds after
correction for the number of comparisons; ≈ open.</p>
{% for table in gains %}{% call framed(table.caption, "claims/claims.csv") %}
<thead><tr><th scope="col" class="text">recipe</th>
{% for head in table.heads %}<th scope="col"{% if loop.first %} class="total"{% endif %}>{{ head }}</th>{% endfor %}
</tr></thead><tbody>{% for row in table.rows %}<tr><th scope="row">{{ row.recipe }}</th>
{% for cell in row.cells %}<td class="{{ cell.tone }}{{ " total" if cell.total }}"><b>{{ cell.sign }}
{{ cell.difference }}</b><small>{{ cell.interval }}</small></td>{% endfor %}</tr>
{% endfor %}</tbody>{% endcall %}{% endfor %}</details>{% endif %}

<h2 id="recipes">Which recipe helps which target?</h2>
{{ chart("heatmap") }}
<details><summary>Scores of every recipe and target{% if places|length > 1 %}, at every budget point{% endif
%}</summary>
<p>First row: the score without intermediate training, in percent, mean over seeds and languages. Below: the difference
to it in points, paired by seed, ± its standard deviation over seeds; small print: the score itself.
▲ higher, ▼ lower in every seed; ≈ the seeds disagree. Question answering is the mean of F1 and exact match.</p>
{% for place in places %}{% for table in place.matrices %}{% call framed(table.caption, "tables/targets.csv") %}
{{ recipe_heads(table.heads) }}{{ recipe_rows(table.rows) }}{% endcall %}{% endfor %}{% endfor %}</details>
{% if first.best.rows %}<details><summary>The best recipe for each target, chosen on dev data</summary>
<p>For each target the recipe with the highest mean score on source-language dev data, over seeds; no test score takes
part. Targets without dev data take the recipe with the highest mean over the other targets’ dev scores.</p>
{% call framed(first.best.caption, "tables/best_per_target.csv") %}
<thead><tr><th scope="col" class="text">target</th><th scope="col" class="text">recipe</th>
<th scope="col" class="text">chosen on</th><th scope="col">all languages</th><th scope="col">zero-shot</th></tr></thead>
<tbody>{% for row in first.best.rows %}<tr><th scope="row">{{ row.target }}</th><td class="text">{{ row.recipe }}</td>
<td class="text">{{ row.chosen_on }}</td>{% for cell in row.cells %}{{ score_cell(cell) }}{% endfor %}</tr>
{% endfor %}</tbody>{% endcall %}</details>{% endif %}

<h2 id="languages">In which languages?</h2>
<p>{{ source }} is the language of training; all others are read without any training in them.</p>
{{ chart("per_language") }}
{% if first.languages %}<details><summary>Language by language</summary>
{% for table in first.languages %}{% call framed(table.caption, "tables/languages.csv") %}
<thead><tr><th scope="col" class="text">language</th><th scope="col">n</th>
{% for recipe in recipes %}<th scope="col">{{ recipe }}</th>{% endfor %}
{% for name in table.controls %}<th scope="col" class="{{ "sum" if loop.first }}">{{ name }}
<small>control</small></th>{% endfor %}</tr></thead>
<tbody>{% for row in table.rows %}<tr><th scope="row">{{ row.name }}<small>{{ row.note }}</small></th>
<td>{{ row.n }}</td>{% for cell in row.cells %}{{ score_cell(cell) }}{% endfor %}
{% for value in row.controls %}<td class="{{ "sum" if loop.first }}">{{ value }}</td>{% endfor %}</tr>
{% endfor %}</tbody>{% endcall %}{% endfor %}</details>{% endif %}
{% if too_large %}<p>Too large to be printed here: {{ too_large }}; <a href="../tables/languages.csv">languages.csv</a>
has every row.</p>{% endif %}

{% if layers %}<h2 id="layers">Which layer finds translations?</h2>
<p>A sentence in the source language looks for its translation: share found first, by the hidden state that is compared
(0 is the embedding layer), mean over the other languages and over seeds. The layer of the headline score,
{{ layer }}, was fixed in the configuration beforehand.</p>
{{ chart("retrieval_by_layer") }}
<details><summary>Layer by layer</summary>
{% for table in first.layers %}{% call framed(table.caption, "tables/retrieval_layers.csv") %}
<thead><tr><th scope="col" class="text">recipe</th>
{% for layer in table.layers %}<th scope="col">{{ layer }}</th>{% endfor %}</tr></thead>
<tbody>{% for row in table.rows %}<tr><th scope="row">{{ row.recipe }}</th>
{% for value in row.numbers %}<td>{{ value }}</td>{% endfor %}</tr>{% endfor %}</tbody>{% endcall %}{% endfor %}
</details>{% endif %}

<h2 id="training">What does a gain cost in training?</h2>
{{ chart("gain_vs_training_cost") }}
{% if training %}{% call framed("Training cost of each recipe and its gain at the largest budget",
"costs/recipe_costs.csv") %}
<thead><tr><th scope="col" class="text">recipe</th><th scope="col">intermediate<small>TFLOP a run</small></th>
<th scope="col">target<small>TFLOP a run</small></th><th scope="col">gain<small>points</small></th></tr></thead>
<tbody>{% for row in training %}<tr><th scope="row">{{ row.recipe }}{% if backbones > 1 %}<small>{{ row.backbone
}}</small>{% endif %}</th>
<td>{{ row.intermediate }}</td><td>{{ row.target }}</td><td>{{ row.gain }}</td></tr>
{% endfor %}</tbody>{% endcall %}{% endif %}
"""

CONTEXT = """
{% if decided or undecided %}
<h2 id="claims">Do the paper’s claims hold here?</h2>
<p>{{ verdict_counts }} Verdicts go by the direction of the tested difference, no published figure enters them; all
rows are
in <a href="../claims/paper.csv">paper.csv</a>. They speak of {{ scope }}.</p>
{{ claim_list(decided) }}
{% if undecided %}<details><summary>Undecided, or not testable here ({{ undecided|length }})</summary>{{
claim_list(undecided) }}
</details>{% endif %}
{% endif %}

{% if published %}
<h2 id="published">How does this compare with published numbers?</h2>
{% if first.published.rows %}<p>What others have reported for the same target, protocol and languages; * computed from
published values. Other models, data versions and settings stand behind them: read them as a scale, not as a test.</p>
{% call framed(first.published.caption, "tables/published.csv") %}
<thead><tr><th scope="col" class="text">target</th><th scope="col" class="text">metric</th>
{% for recipe in first.published.recipes %}<th scope="col">{{ recipe }}<small>ours</small></th>{% endfor %}
{% for system in first.published.systems %}<th scope="col" class="{{ "sum" if loop.first }}">{{ system }}
<small>published</small></th>{% endfor %}</tr></thead>
<tbody>{% for row in first.published.rows %}<tr><th scope="row">{{ row.target }}</th><td class="text">{{ row.metric
}}</td>
{% for value in row.ours %}<td>{{ value }}</td>{% endfor %}
{% for value in row.theirs %}<td class="{{ "sum" if loop.first }}">{{ value }}</td>{% endfor %}</tr>
{% endfor %}</tbody>{% endcall %}
<ul>{% for source in first.published.sources %}<li>{{ source }}</li>{% endfor %}</ul>{% endif %}
{% if first.benchmarks %}<p>The official means of a benchmark: the plain mean over its tasks of the plain mean over
their
languages, source language included; question answering counts as the mean of F1 and exact match. A mean with a member
missing is not printed.</p>
{% for table in first.benchmarks %}{% if table.rows %}{% call framed(table.caption, "tables/benchmarks.csv") %}
{{ recipe_heads(table.heads) }}{{ recipe_rows(table.rows) }}{% endcall %}{% endif %}
{% if table.lost %}<p>Not printed, {{ table.caption }}:</p>
<ul>{% for text in table.lost %}<li>{{ text }}</li>{% endfor %}</ul>{% endif %}{% endfor %}{% endif %}
{% endif %}

{% if costs %}
<h2 id="costs">What does an example cost at inference?</h2>
<p>Mean over languages, by budget point (depth, max length, precision). ≈: no further from the first point’s than two
identical arms from each other; ?: the machine was too noisy; a dash: not measured.
<a href="../costs/costs.csv">costs.csv</a> says why, with the spread of each measurement.</p>
{% for table in costs %}{% if loop.index == 2 %}<details><summary>Other targets ({{ costs|length - 1 }})</summary>{%
endif %}
{% call framed("Cost of " ~ table.target, "costs/costs.csv") %}
<thead><tr><th scope="col" class="text">budget point</th>
{% for head in table.heads %}<th scope="col">{{ head }}</th>{% endfor %}</tr></thead>
<tbody>{% for row in table.rows %}<tr><th scope="row">{{ row.place }}</th>
{% for value in row.numbers %}<td>{{ value }}</td>{% endfor %}</tr>{% endfor %}</tbody>{% endcall %}
{% if loop.last and loop.length > 1 %}</details>{% endif %}{% endfor %}
{% endif %}

{% if "training_curves" in charts %}<h2 id="curves">Did training go well?</h2>
{{ chart("training_curves") }}{% endif %}

<h2 id="controls">Do the scores count?</h2>
<p>A score says something about transfer only if it beats blind or untrained arms: an encoder with random weights
(random-init), a model that sees one of two inputs (blind), the commonest answer (majority), an answer of the right type
drawn at random (type-chance). “yes”: above every control in every seed, by more than twice the error that the size of
the test sets allows; “no”: not above one of them; “unclear”: between. Scores without intermediate training.</p>
{% call framed("Scores and controls" ~ first.suffix ~ ", percent", "tables/controls.csv") %}
<thead><tr><th scope="col" class="text">target</th><th scope="col" class="text">languages</th>
<th scope="col" class="text">counts</th><th scope="col">score</th>
{% for name in first.controls.names %}<th scope="col" class="{{ "sum" if loop.first }}">{{ name }}</th>{% endfor %}
<th scope="col">margin<small>to the strongest</small></th></tr></thead>
<tbody>{% for row in first.controls.rows %}<tr><th scope="row">{{ row.target }}</th>
<td class="text">{{ row.languages }}</td><td class="text {{ row.counts }}">{{ row.sign }} {{ row.counts }}</td>
<td>{{ row.score }}</td>{% for value in row.numbers %}<td class="{{ "sum" if loop.first }}">{{ value }}</td>{% endfor %}
<td>{{ row.margin }}</td></tr>{% endfor %}</tbody>{% endcall %}

{% if gaps %}
<h2 id="missing">What is missing?</h2>
<p>Means over these scores are left out rather than taken over the rest.</p>
<ul>{% for gap in gaps %}<li>{{ gap }}</li>{% endfor %}</ul>
{% endif %}
"""

ORIGIN = """
<h2 id="data">Which data?</h2>
{% if data_note %}<p>{{ data_note }}</p>{% endif %}
{% for note in notes %}<p class="note" role="note">{{ note }}</p>{% endfor %}
<details><summary>The {{ tasks|length }} tasks, with sources, licences and revisions</summary>
<div class="scroll" tabindex="0" role="region" aria-label="Data"><table class="sort">
<caption>Tasks of the study, with the sources whose form they have</caption>
<thead><tr><th scope="col" class="text">task</th><th scope="col" class="text">what it is</th>
<th scope="col" class="text">source</th><th scope="col" class="text">licence</th>
<th scope="col" class="text">citation</th></tr></thead>
<tbody>{% for task in tasks %}<tr><th scope="row">{{ task.name }}<small>{{ task.role }}</small></th>
<td class="wide">{{ task.description }}</td>
<td class="text">{% if task.url %}<a href="{{ task.url }}" rel="noreferrer">{{ task.source }}</a>
{% else %}{{ task.source }}{% endif %}<small>{{ task.revision }}</small></td>
<td class="wide small">{{ task.licence }}</td><td class="wide small">{{ task.citation }}</td></tr>
{% endfor %}</tbody></table></div></details>
{% if faults %}<p>Faults of the data that were counted when examples were prepared, in rows or places over all splits
and languages; what each word means and what was done stands in docs/data.md.</p>
<ul>{% for task, text in faults %}<li><b>{{ task }}</b>: {{ text }}</li>{% endfor %}</ul>{% endif %}

<h2 id="provenance">How was it made?</h2>
<dl class="settings">{% for name, text in provenance %}<dt>{{ name }}</dt><dd>{{ text }}</dd>{% endfor %}
<dt>code</dt><dd>the fingerprint of every file that could run is in <a href="key.json">key.json</a>, here and beside
every
other result; commits are recorded with each kept run, in <code>results/runs/{{ experiment }}/</code></dd>
<dt>machine</dt><dd>of this page <a href="run.json">run.json</a>; of each training run
<a href="../costs/training_costs.csv">training_costs.csv</a></dd></dl>
<details><summary>All settings</summary>
<div class="columns">{% for part in settings %}<h3>{{ part.name }}</h3>
<dl class="settings">
{% for key, value in part.entries %}<dt>{{ key }}</dt><dd>{{ value }}</dd>{% endfor %}</dl>{% endfor %}</div></details>

<h2 id="files">Where are the numbers?</h2>
<p>Every number above is a cell of one of these tables; their columns are explained in the project’s
<code>docs/results.md</code>.{% if places|length > 1 %} Sections that name no budget show the first backbone and budget
point, the uncut model; the files hold all {{ places|length }}.{% endif %}</p>
<ul>{% for file in files %}
<li><a href="../{{ file.name }}">{{ file.name }}</a>: {{ file.what }}</li>{% endfor %}</ul>
</main>
<footer>Made by the workflow. The page asks no host for anything; without JavaScript its charts are still
pictures.</footer>
<script type="application/json" id="on-dark">{{ on_dark }}</script>
{% for script in scripts %}<script>{{ script }}</script>
{% endfor %}</body>
</html>
"""

PAGE = MACROS + HEAD + RESULTS + CONTEXT + ORIGIN
