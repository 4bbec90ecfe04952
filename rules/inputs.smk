# What rules read, by wildcards: the manifests of other results, the files of users.

from types import SimpleNamespace

from stilts.budget.training import any_arm
from stilts.config.models import COUNTED_AXES


def raw_of(wildcards):
    """Return the manifest of a task's raw files, or of its members' examples."""
    task = STUDY.task(wildcards.task)
    if task.union:
        return [data_of(member) for member in task.union]
    if CONFIG.provider == "mini":
        return f"{ROOT}/world/{task.source.world or wildcards.task}/manifest.json"
    return f"{ROOT}/raw/{wildcards.task}/manifest.json"


def local_files(wildcards):
    """Return the user's files of a task, so that an edit is noticed."""
    return STUDY.local_files(wildcards.task)


def local_weights(wildcards):
    """Return the files of a local backbone, so that an edit is noticed."""
    backbone = STUDY.backbone(wildcards.backbone)
    return sorted(str(p) for p in Path(backbone.path).glob("*") if p.is_file()) if backbone.source == "local" else []


def local_folder(wildcards, input):
    """Return the argument that names the user's folder, or nothing; with `input` a path is no rerun trigger."""
    if hasattr(wildcards, "backbone"):
        backbone = STUDY.backbone(wildcards.backbone)
        return f"--local {shlex.quote(backbone.path)}" if backbone.source == "local" else ""
    if STUDY.task(wildcards.task).source.path:
        return f"--path {shlex.quote(STUDY.local(wildcards.task))}"
    return f"--local {shlex.quote(CONFIG.local_data)}" if CONFIG.provider == "local" else ""


def data_of(task, part=""):
    """Return the manifest of a task's examples, or of a part of them (`training.`, `test.`)."""
    return f"{ROOT}/data/{task}/{part}manifest.json"


def tokens_of(backbone, task, part=""):
    """Return the manifest of a task's tokens, or of a part of them (`training.`, `test.`)."""
    return f"{ROOT}/tokens/{backbone}/{task}/{part}manifest.json"


def tokenizer_of(wildcards):
    """Return the manifest of the folder that holds a backbone's tokenizer."""
    if STUDY.backbone(wildcards.backbone).source == "pretrain":
        return f"{ROOT}/tokenizers/{wildcards.backbone}/manifest.json"
    return f"{ROOT}/models/pretrained/{wildcards.backbone}/fetched/manifest.json"


def pretrained_of(wildcards):
    """Return the manifest of the backbone's weights; stand-ins are pretrained once, or once a seed."""
    made = STUDY.pretraining_seed(wildcards.backbone, int(wildcards.seed))
    return f"{ROOT}/models/pretrained/{wildcards.backbone}/{'fetched' if made is None else f's{made}'}/manifest.json"


def encoder_of(wildcards):
    """Return the manifest of the encoder an arm starts from."""
    w = wildcards
    if w.recipe in ("none", "blind"):
        return pretrained_of(w)
    folder = f"random-init/{w.backbone}" if w.recipe == "random-init" else f"intermediate/{w.backbone}/{w.recipe}"
    return f"{ROOT}/models/{folder}/s{w.seed}/manifest.json"


def base_of(wildcards):
    """Return the manifest of the encoder that compact models are the difference to; nothing where they are full."""
    if CONFIG.model_files == "full":
        return []
    return encoder_of(wildcards) if wildcards.recipe == "random-init" else pretrained_of(wildcards)


def start_of(wildcards):
    """Return the manifest of the encoder a recipe starts from: the backbone's, or that of the recipe it comes after."""
    w, before = wildcards, STUDY.start(wildcards.recipe)
    return (
        pretrained_of(w)
        if before == "none"
        else f"{ROOT}/models/intermediate/{w.backbone}/{before}/s{w.seed}/manifest.json"
    )


def corpus_tokens(wildcards):
    """Return the tokens a stand-in is pretrained on."""
    return tokens_of(wildcards.backbone, STUDY.backbone(wildcards.backbone).pretraining.corpus, "training.")


def corpus_data(wildcards):
    """Return the text a stand-in's tokenizer learns from."""
    return data_of(STUDY.backbone(wildcards.backbone).pretraining.corpus, "training.")


def recipe_tokens(wildcards):
    """Return the tokens of a recipe's tasks, in the recipe's order."""
    return [tokens_of(wildcards.backbone, t, "training.") for t in STUDY.recipe(wildcards.recipe).tasks]


def recipe_data(wildcards):
    """Return the examples of a recipe's tasks, in the recipe's order."""
    return [data_of(t, "training.") for t in STUDY.recipe(wildcards.recipe).tasks]


def translated_tokens(wildcards):
    """Return the tokens of a recipe's translated rows: by task, then by language."""
    return [tokens_of(wildcards.backbone, t, "training.") for t in STUDY.translations(wildcards.recipe)]


def text_tokens(wildcards):
    """Return the tokens a recipe's masked-LM steps read."""
    return [tokens_of(wildcards.backbone, t, "training.") for t in STUDY.texts(wildcards.recipe)]


def chain_tokens(wildcards):
    """Return the tokens a target is tuned on before its own training task, in the chain's order."""
    return [tokens_of(wildcards.backbone, t, "training.") for t in STUDY.chain(wildcards.target)]


def chain_data(wildcards):
    """Return the examples of a target's chain, in its order."""
    return [data_of(t, "training.") for t in STUDY.chain(wildcards.target)]


def train_tokens(wildcards):
    """Return the tokens a target is tuned on."""
    return tokens_of(wildcards.backbone, STUDY.train_task(wildcards.target), "training.")


def tested_part(target):
    """Return which part of its examples a target is tested on; mining tunes its threshold on the dev part as well."""
    return "" if STUDY.task(target).kind == "bitext_mining" else "test."


def target_tokens(wildcards):
    """Return the tokens a target is tested on."""
    return tokens_of(wildcards.backbone, wildcards.target, tested_part(wildcards.target))


def target_data(wildcards):
    """Return the examples a target is tested on."""
    return data_of(wildcards.target, tested_part(wildcards.target))


def dev_tokens(wildcards):
    """Return the tokens a target is selected on."""
    return tokens_of(wildcards.backbone, STUDY.dev_task(wildcards.target), "training.")


def dev_data(wildcards):
    """Return the examples a target is selected on."""
    return data_of(STUDY.dev_task(wildcards.target), "training.")


def tuned_of(wildcards):
    """Return the manifest of the tuned model a budget point predicts with: the target's own, or the one it borrows."""
    depth = wildcards.point.split("-")[0]
    arm = f"{wildcards.backbone}/{wildcards.recipe}/{STUDY.owner(wildcards.target)}"
    return f"{ROOT}/models/target/{arm}/{depth}/s{wildcards.seed}/manifest.json"


def embedder_of(wildcards):
    """Return the manifest of the encoder that embeds a target: a tuned model's, or the recipe's own."""
    return tuned_of(wildcards) if STUDY.tuned(wildcards.target) else encoder_of(wildcards)


def embed_dev_tokens(wildcards):
    """Return the tokens a dual encoder is judged on; other encoders have no dev score."""
    return dev_tokens(wildcards) if STUDY.task(wildcards.target).dual else []


def mine_data(wildcards):
    """Return the examples that mining reads: repeated sentences and gold; plain pairs of sentences need neither."""
    return [] if STUDY.task(wildcards.target).kind == "bitext_retrieval" else target_data(wildcards)


def read_of(recipe, target, w):
    """Return what a score of a recipe and target is read from: predictions, or mined pairs for retrieval."""
    place = "mined" if STUDY.task(target).retrieval else "predictions"
    return f"{ROOT}/{place}/{w.backbone}/{recipe}/{target}/{w.point}/s{w.seed}/manifest.json"


def judged_of(wildcards):
    """Return what a score is read from."""
    return read_of(wildcards.recipe, wildcards.target, wildcards)


def all_scores(wildcards=None):
    """Return every score file of the grid: the list comes from the configuration, never from what lies there."""
    return [
        f"{ROOT}/scores/{b}/{r}/{t}/{p}/s{s}/manifest.json" for t in CONFIG.grid.targets for b, r, s, p in STUDY.runs(t)
    ]


def recipe_scores(wildcards=None):
    """Return every score file of the grid's recipes, those of controls left out."""
    runs = [(t, *run) for t in CONFIG.grid.targets for run in STUDY.runs(t) if run[1] in CONFIG.grid.recipes]
    return [f"{ROOT}/scores/{b}/{r}/{t}/{p}/s{s}/manifest.json" for t, b, r, s, p in runs]


def costs_of_axis(wildcards=None):
    """Return the costs that budgets are counted in: what is counted depends on nothing that was measured."""
    return f"{ROOT}/{'counted' if CONFIG.budget.axis in COUNTED_AXES else 'costs'}/manifest.json"


def submitted_of(wildcards):
    """Return what a submission is made of: for each target what its score is read from, for each recipe drawn on."""
    w = wildcards
    members, recipes = STUDY.submitted(w.benchmark, w.point), STUDY.candidates(w.recipe)
    return [read_of(r, m.task, w) for m in members for r in recipes]


def submitted_data(wildcards):
    """Return the examples of the targets of a submission."""
    members = STUDY.submitted(wildcards.benchmark, wildcards.point)
    return [data_of(m.task, tested_part(m.task)) for m in members]


def choice_of(wildcards):
    """Return the tables that say which recipe a target takes, where a submission draws on several."""
    return f"{ROOT}/tables/manifest.json" if len(STUDY.candidates(wildcards.recipe)) > 1 else []


def all_submissions(wildcards=None):
    """Return every submission of the experiment."""
    return [f"{ROOT}/submission/{b}/{k}/{r}/{p}/s{s}/manifest.json" for b, k, r, p, s in STUDY.submissions()]


def all_models(wildcards=None):
    """Return every tuned model of the grid."""
    return [f"{ROOT}/models/target/{b}/{r}/{t}/d{d}/s{s}/manifest.json" for b, r, t, d, s in STUDY.models()]


def drawn_models(wildcards=None):
    """Return every model whose training is drawn."""
    return [f"{ROOT}/models/{model['place']}/manifest.json" for model in SPECS.figures()["models"]]


def read_tasks():
    """Return every task whose data the grid's recipes and targets read, sorted."""
    tasks = {*CONFIG.grid.targets, *(t for r in CONFIG.grid.recipes for t in STUDY.read_by(r))}
    of_target = (STUDY.train_task, STUDY.dev_task)
    return sorted(tasks | {t for name in STUDY.trained for t in (*STUDY.chain(name), *(f(name) for f in of_target))})


def all_tasks():
    """Return every task the grid reads, text that backbones are pretrained on included, sorted."""
    return sorted({*read_tasks(), *STUDY.corpora()})


def all_tokens(wildcards=None):
    """Return the tokens of every task the grid reads."""
    return [tokens_of(b, t) for b in CONFIG.grid.backbones for t in all_tasks()]


def all_data(wildcards=None):
    """Return the examples of every task the grid reads; their manifests count the faults of the data."""
    return [data_of(t) for t in all_tasks()]


def fetched(wildcards=None):
    """Return the raw files of the grid's tasks where they came from the hub; their manifests name the commits."""
    if CONFIG.provider != "hub":
        return []
    tasks = {member for t in read_tasks() for member in STUDY.task(t).union or [t]}
    return [f"{ROOT}/raw/{t}/manifest.json" for t in sorted(tasks)]


def folder_of(name):
    """Return a param: a folder of the experiment; as a function of `input` a path is no rerun trigger."""
    return lambda wildcards, input: f"{ROOT}/{name}"


def all_counted(wildcards=None):
    """Return what costs are counted from: every training run of the grid, and the tests of every target."""
    backbones, places = CONFIG.grid.backbones, SPECS.trained_places()
    tokens = [tokens_of(b, t, "test.") for b in backbones for t in CONFIG.grid.targets]
    return [*(f"{ROOT}/models/{place}/manifest.json" for place in places), *tokens]


def measured_models(wildcards):
    """Return a model of each depth that a target is measured at; recipes and seeds cost the same."""
    recipe, seed = any_arm(CONFIG.grid.recipes, CONFIG.grid.seeds)
    depths = dict.fromkeys(p.split("-")[0] for p in STUDY.points_of(wildcards.target))
    arm = {"backbone": wildcards.backbone, "target": wildcards.target, "recipe": recipe, "seed": seed}
    return [embedder_of(SimpleNamespace(**arm, point=f"{d}-lfull-fp32")) for d in depths]


def all_measured(wildcards=None):
    """Return the measured costs of every target, where they are asked for."""
    pairs = [(b, t) for b in CONFIG.grid.backbones for t in CONFIG.grid.targets if CONFIG.budget.measure]
    return [f"{ROOT}/measured/{b}/{t}/manifest.json" for b, t in pairs]
