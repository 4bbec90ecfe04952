"""What can be wrong with recipes and chains beyond the type of a key: names, circles, languages, translations."""

from __future__ import annotations

from collections.abc import Callable

from stilts.config.models import Config, MaskedLM, Recipe
from stilts.errors import UserError, did_you_mean
from stilts.miniworld.translations import TRANSLATED
from stilts.tasks.spec import TaskSpec
from stilts.tasks.translation import translation_of

Read = Callable[[str], TaskSpec]


def translated_rows(recipe: Recipe) -> dict[str, tuple[str, str]]:
    """Return `<task>.<language>` -> (task, language) of a recipe's translated rows: by task, then by language."""
    return {f"{task}.{language}": (task, language) for task in recipe.tasks for language in recipe.translated}


def translations(config: Config) -> dict[str, tuple[str, str]]:
    """Return `<task>.<language>` -> (task, language) of every translation that a recipe trains on."""
    return {name: pair for recipe in config.recipes.values() for name, pair in translated_rows(recipe).items()}


def recipe_faults(config: Config, read: Read) -> list[str]:
    """Return what is wrong with the recipes; read: task name -> task, raising UserError for an unknown one."""
    problems = []
    for name, recipe in config.recipes.items():
        at = f"recipes.{name}"
        problems += _start_faults(config, name)
        if recipe.masked_lm:
            problems += _text_faults(config, recipe.masked_lm, f"{at}.masked_lm", read)
        if name in starts_first(config, config.grid.recipes):
            for task in recipe.tasks:
                problems += _translation_faults(config, task, recipe.translated, f"{at}.translated", read)
    return problems


def starts_first(config: Config, recipes: list[str]) -> list[str]:
    """Return the recipes and all those they come after, each behind the one it starts from."""
    found: list[str] = []
    for recipe in recipes:
        path, step = [], recipe
        while step in config.recipes and step not in (*found, *path):
            path.append(step)
            step = config.recipes[step].after
        found += path[::-1]
    return found


def _start_faults(config: Config, name: str) -> list[str]:
    after = config.recipes[name].after
    if not after:
        return []
    if after not in config.recipes:
        return [f'recipes.{name}.after: "{after}" is not defined.{did_you_mean(after, config.recipes)}']
    if not config.recipes[after].tasks:
        return [f'recipes.{name}.after: "{after}" trains nothing; leave `after` out to start from the backbone']
    path = [name]
    while after in config.recipes and after not in path:
        path.append(after)
        after = config.recipes[after].after
    if after == name:
        return [f"recipes.{name}.after: a circle ({' after '.join([*path, name])})"]
    return []


def _text_faults(config: Config, text: MaskedLM, at: str, read: Read) -> list[str]:
    try:
        corpus = read(text.corpus)
    except UserError as error:
        return [f"{at}.corpus: {error}"]
    if corpus.kind != "masked_lm":
        return [f'{at}.corpus: "{text.corpus}" is a {corpus.kind} task; co-training reads one of kind masked_lm']
    have = config.world.languages if config.provider == "mini" else corpus.languages or [config.source_language]
    wanted = [] if text.languages == "all" else text.languages
    lost = [language for language in wanted if language not in have]
    return [f'{at}.languages: `{text.corpus}` has no text in "{k}".{did_you_mean(k, have)}' for k in lost]


def _translation_faults(config: Config, task: str, languages: list[str], at: str, read: Read) -> list[str]:
    problems = []
    for language in languages:
        if language == config.source_language:
            problems.append(f'{at}: "{language}" is the source language; its rows are kept with `source_rows: true`')
        elif config.provider == "mini" and task not in TRANSLATED:
            problems.append(f"{at}: the mini world translates {', '.join(TRANSLATED)}, not {task}")
        elif config.provider == "mini" and language not in config.world.languages:
            problems.append(f'{at}: the mini world has no language "{language}"')
        else:
            try:
                translation_of(read(task), language, config.provider)
            except UserError as error:
                problems.append(f"{at}: {error}")
    return problems


def chain_faults(target: TaskSpec, read: Read) -> list[str]:
    """Return why the tasks that a target is tuned on first do not fit it."""
    problems = []
    for name in target.train_chain:
        try:
            step = read(name)
        except UserError as error:
            problems.append(f"{target.task}.train_chain: {error}")
            continue
        if step.kind != target.kind:
            problems.append(f'{target.task}.train_chain: "{name}" is a {step.kind} task, {target.task} {target.kind}')
        elif step.kind != "multiple_choice" and step.labels != target.labels:
            problems.append(f'{target.task}.train_chain: "{name}" has other labels; the head could not go on')
    return problems
