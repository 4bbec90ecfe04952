"""Other names of languages: what data sets and people write for the code that the task files use."""

from __future__ import annotations

# Code of the task files (ISO 639-1) -> other codes of the same language in the same script. Codes of another script or
# variety (zh-tw, zh-Hant, zh_min_nan) are not aliases.
OTHERS = {
    "af": "afr", "ar": "ara arb", "az": "aze azj", "bg": "bul", "bn": "ben", "de": "deu ger", "el": "ell gre",
    "en": "eng", "es": "spa", "et": "est ekk", "eu": "eus baq", "fa": "fas per pes", "fi": "fin", "fr": "fra fre",
    "gu": "guj", "he": "heb iw", "hi": "hin", "ht": "hat", "hu": "hun", "id": "ind in", "it": "ita", "ja": "jpn",
    "jv": "jav jw", "ka": "kat geo", "kk": "kaz", "ko": "kor", "lt": "lit", "ml": "mal", "mr": "mar",
    "ms": "msa may zsm", "my": "mya bur", "nl": "nld dut", "pa": "pan", "pl": "pol", "pt": "por", "qu": "que",
    "ro": "ron rum", "ru": "rus", "sw": "swa swh", "ta": "tam", "te": "tel", "th": "tha", "tl": "tgl fil",
    "tr": "tur", "uk": "ukr", "ur": "urd", "vi": "vie", "wo": "wol", "yo": "yor",
    "zh": "zho chi cmn zh-cn zh-sg zh-hans zh-hans-cn cmn-cn cmn-hans",
}  # fmt: skip
ALIASES = {other: code for code, others in OTHERS.items() for other in others.split()}


def canonical(code: str) -> str:
    """Return the code that the task files use for a language, whatever it is called (`zh_CN`, `cmn` -> `zh`).

    Codes that are no known alias come back as they are.
    """
    plain = code.lower().replace("_", "-")
    return ALIASES.get(plain, plain if plain in OTHERS else code)
