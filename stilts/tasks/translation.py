"""Machine translations of a task's training rows: a task of their own, in one language, with no other split."""

from __future__ import annotations

from stilts.errors import UserError
from stilts.tasks.spec import TaskSpec

# What a translation has in common with its task: what its rows are, not where they lie.
KEPT = {"version", "kind", "group", "description", "columns", "choices", "labels", "label_values", "quirks"}
KEPT |= {"unanswerable", "metrics", "licence", "citation", "url", "notes"}


def translation_of(task: TaskSpec, language: str, provider: str) -> TaskSpec:
    """Return the task `<task>.<language>` whose training rows are translations of `task`'s.

    From the hub its source is `translations.<language>` of the task; local files and the mini world hold it under its
    own name, with the configuration and the split of the task. Columns, labels and quirks are the task's. Raises
    UserError where the task names no translation into that language.
    """
    if provider == "hub":
        if language not in task.translations:
            held = ", ".join(sorted(task.translations)) or "none"
            raise UserError(
                f'`{task.task}` names no translation into "{language}" (languages it names: {held}); say where its '
                f"rows lie under `tasks: {task.task}: translations: {language}:`"
            )
        source = task.translations[language].model_dump()
    elif task.source.languages_in != "none" or "train" not in task.source.splits:
        raise UserError(f"`{task.task}` has no training rows of one language that could be translated")
    else:
        source = {"config": task.source.config, "splits": {"train": task.source.splits["train"]}}
    raw = {key: value for key, value in task.model_dump().items() if key in KEPT}
    return TaskSpec.model_validate(raw | {"task": f"{task.task}.{language}", "source": source})
