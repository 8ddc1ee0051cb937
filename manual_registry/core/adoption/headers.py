"""Which heading means which field: a synonym table (English, German, French, Spanish), nothing learned.

Rules held here (design 4, "Headers"): a heading is taken when it stands in the table; what is only similar
(:mod:`difflib`) is suggested and asked. Headings that teams often have and that mean none of our fields stand in a
table of their own, so that nobody is asked about them.
"""

from __future__ import annotations

import difflib
import functools
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from manual_registry.core.adoption.cells import clean

#: field -> what it is, as shown in the mapping file.
FIELDS: Final[Mapping[str, str]] = {
    "model": "name of the model",
    "version": "version of the model",
    "storage_location": "path of the model file or directory",
    "content_hash": "hash of it; the algorithm is told by its length",
    "sha256": "SHA-256 of it",
    "blake3": "BLAKE3 of it",
    "sha1": "SHA-1 of it",
    "md5": "MD5 of it",
    "training_data": "training data version or reference",
    "code_commit": "commit of the training code",
    "repository": "repository of the training code",
    "training_date": "when it was trained",
    "metrics": "evaluation metrics as text; metrics.NAME for a column with the numbers of one metric",
    "hyperparameters": "hyperparameters as text",
    "stage": "stage (experimental, staging, production, archived, or a word for one)",
    "approver": "who approved it",
    "approval_date": "when it was approved",
    "deployment_date": "when it was deployed",
    "deployment_environment": "where it was deployed",
    "pipeline_run": "training pipeline run",
    "owner": "who is responsible",
    "description": "what it is",
    "notes": "remarks; several columns may be notes",
}
#: Fields that several columns may fill.
SEVERAL: Final = frozenset({"notes", "metrics"})
IGNORE: Final = "ignore"
ASK: Final = "?"

# The first of each list are sure; those after "|" give way to a surer heading in the same table.
_SYNONYMS: Final[Mapping[str, str]] = {
    "model": (
        "model, model name, ml model, model id, model identifier, name of model, name of the model, model title, "
        "registered model, modell, modellname, ml modell, modellbezeichnung, ki modell, modele, nom du modele, "
        "modelo, nombre del modelo, nombre modelo, models | algorithm name, name, use case model, bezeichnung, nom, "
        "nombre"
    ),
    "version": (
        "version, ver, vers, model version, model ver, version number, version no, version nr, versionsnummer, "
        "modellversion, version du modele, version del modelo, model version number, semver, versie | v, rev, "
        "revision, release, iteration, build, ausgabe, no de version, numero de version"
    ),
    "storage_location": (
        "storage location, location, path, file path, filepath, model path, model file, artefact, artifact, artefact "
        "uri, artifact uri, artefact path, artifact path, artefact location, artifact location, model location, "
        "storage path, storage uri, model uri, model artefact, model artifact, saved at, stored at, where stored, "
        "speicherort, ablageort, ablage, dateipfad, pfad, modelldatei, emplacement, chemin, chemin du fichier, "
        "emplacement de stockage, ubicacion, ruta, ruta del archivo, ubicacion de almacenamiento | file, filename, "
        "file name, uri, bucket, storage, folder, directory, weights, checkpoint, datei, dateiname, ordner, fichier, "
        "archivo"
    ),
    "content_hash": (
        "content hash, hash, file hash, model hash, artefact hash, artifact hash, checksum, file checksum, digest, "
        "fingerprint, prufsumme, pruefsumme, hashwert, empreinte, somme de controle, hash del contenido, suma de "
        "verificacion"
    ),
    "sha256": "sha256, sha 256, sha2, sha256sum, sha256 hash, sha256 checksum, hash sha256, checksum sha256",
    "blake3": "blake3, b3sum, blake3 hash, b3",
    "sha1": "sha1, sha1sum, sha1 hash",
    "md5": "md5, md5sum, md5 hash, md5 checksum, hash md5, checksum md5",
    "training_data": (
        "training data version, training data, training dataset, training dataset version, dataset, dataset version, "
        "data version, data ref, data reference, data set, train data, train set, training set, data snapshot, "
        "training data ref, training data reference, trainingsdaten, trainingsdatenversion, trainingsdatensatz, "
        "datensatz, datenstand, donnees d entrainement, version des donnees, jeu de donnees, datos de entrenamiento, "
        "conjunto de datos, version de datos | data, dvc, dvc tag, data source, daten, donnees, datos"
    ),
    "code_commit": (
        "code commit, commit, git commit, git sha, commit sha, commit id, commit hash, git hash, sha of commit, code "
        "version, code revision, git revision, git rev, git ref, source commit, code commit sha, training code "
        "commit, git commit hash, git commit id, git commit sha, codestand, commit du code, commit de codigo | code, "
        "source version, git, code ref"
    ),
    "repository": (
        "repository, repo, git repo, git repository, code repository, source repository, repo url, code repo"
    ),
    "training_date": (
        "training date, trained on, date trained, trained, trained at, train date, date of training, training "
        "completed, training finished, training end, model trained on, trainingsdatum, trainiert am, datum des "
        "trainings, training am, date d entrainement, entraine le, fecha de entrenamiento, entrenado el, fecha "
        "entrenamiento"
    ),
    "metrics": (
        "evaluation metrics, metrics, evaluation, metric, performance metrics, model metrics, evaluation results, "
        "performance, eval metrics, test metrics, kpis, evaluation metric, metriken, kennzahlen, evaluierung, "
        "gutemasse, metriques, metriques d evaluation, metricas, metricas de evaluacion | results, scores, score, "
        "ergebnisse, resultats, resultados, eval"
    ),
    "hyperparameters": (
        "hyperparameters, hyper parameters, hyperparams, params, parameters, training parameters, hyperparameter, "
        "parametres, hiperparametros, model parameters"
    ),
    "stage": (
        "stage, lifecycle stage, life cycle stage, lifecycle, life cycle, model stage, model status, lifecycle "
        "status, deployment stage, deployment status, stufe, phase, modellstatus, lebenszyklus, statut du modele, "
        "etape, etapa, estado del modelo | status, environment, env, state, umgebung, zustand, statut, environnement, "
        "estado, entorno"
    ),
    "approver": (
        "approver, approved by, approver name, name of approver, sign off by, signed off by, signoff by, sign off, "
        "signoff, approved by name, authorised by, authorized by, released by, freigegeben von, freigabe durch, "
        "genehmigt von, genehmiger, freigeber, approuve par, approbateur, valide par, aprobado por, aprobador | "
        "approval, reviewer, reviewed by, freigabe, approbation, aprobacion"
    ),
    "approval_date": (
        "approval date, approved on, date approved, date of approval, approved at, approved date, sign off date, "
        "signoff date, signed off on, date signed off, freigabedatum, freigegeben am, genehmigt am, datum der "
        "freigabe, genehmigungsdatum, date d approbation, approuve le, fecha de aprobacion, aprobado el | release "
        "date, review date"
    ),
    "deployment_date": (
        "deployment date, deployed, deployed on, deployed at, date deployed, date of deployment, go live, golive, go "
        "live date, live since, live from, in production since, prod since, production date, live date, deploy date, "
        "deployed date, deployment, rollout date, rolled out on, einsatzdatum, produktiv seit, live seit, "
        "bereitgestellt am, in produktion seit, deployment datum, date de deploiement, deploye le, mise en "
        "production, date de mise en production, fecha de despliegue, desplegado el, fecha de implementacion, en "
        "produccion desde"
    ),
    "deployment_environment": (
        "deployment environment, deployed to, deployment target, target environment, serving environment, zielumgebung"
    ),
    "pipeline_run": (
        "pipeline run, pipeline run id, run id, run, mlflow run, mlflow run id, training run, pipeline id, pipeline, "
        "ci run, ci run id, build id, job id, experiment run"
    ),
    "owner": (
        "owner, model owner, responsible, responsible person, contact, contact person, maintainer, data scientist, "
        "developer, author, accountable, verantwortlich, verantwortliche, verantwortlicher, ansprechpartner, "
        "eigentumer, besitzer, responsable, proprietaire, propietario, autor, auteur | team, created by, trained by, "
        "person"
    ),
    "description": (
        "description, model description, purpose, use case, intended use, beschreibung, zweck, objectif, descripcion, "
        "proposito, descripcion del modelo"
    ),
    "notes": (
        "notes, note, comments, comment, remarks, remark, observations, additional information, bemerkung, "
        "bemerkungen, anmerkung, anmerkungen, kommentar, kommentare, notizen, hinweis, hinweise, remarque, remarques, "
        "commentaire, commentaires, notas, comentarios, observaciones, misc, info"
    ),
}

#: A heading that may mean several of our fields: asked.
_AMBIGUOUS: Final[Mapping[str, tuple[str, ...]]] = {
    "date": ("training_date", "approval_date", "deployment_date"),
    "datum": ("training_date", "approval_date", "deployment_date"),
    "fecha": ("training_date", "approval_date", "deployment_date"),
    "timestamp": ("training_date", "deployment_date"),
    "sha": ("code_commit", "content_hash"),
    "approved": ("approver", "approval_date"),
    "signedoff": ("approver", "approval_date"),
    "modelandversion": ("model", "version"),
    "modelversionname": ("model", "version"),
}

_METRICS: Final = frozenset(
    [
        "auc",
        "rocauc",
        "aucroc",
        "auroc",
        "prauc",
        "aucpr",
        "auprc",
        "accuracy",
        "acc",
        "balancedaccuracy",
        "f1",
        "f1score",
        "fscore",
        "macrof1",
        "microf1",
        "f1macro",
        "f1micro",
        "f2",
        "precision",
        "recall",
        "sensitivity",
        "specificity",
        "tpr",
        "fpr",
        "tnr",
        "fnr",
        "npv",
        "ppv",
        "mcc",
        "kappa",
        "rmse",
        "mae",
        "mse",
        "mape",
        "smape",
        "r2",
        "rsquared",
        "adjr2",
        "logloss",
        "loss",
        "crossentropy",
        "gini",
        "ks",
        "ksstatistic",
        "brier",
        "brierscore",
        "ece",
        "lift",
        "map",
        "ndcg",
        "mrr",
        "bleu",
        "rouge",
        "rougel",
        "wer",
        "cer",
        "perplexity",
        "iou",
        "dice",
        "psi",
        "dpr",
        "demographicparity",
        "demographicparityratio",
        "demographicparitydifference",
        "dpd",
        "equalizedodds",
        "equalisedodds",
        "eod",
        "disparateimpact",
        "disparateimpactratio",
        "statisticalparity",
        "genauigkeit",
        "trefferquote",
        "exactitude",
        "exactitud",
        "precisionat5",
        "recallat10",
    ]
)
_SPLITS: Final = frozenset(
    [
        "test",
        "tst",
        "val",
        "valid",
        "validation",
        "train",
        "training",
        "cv",
        "crossval",
        "holdout",
        "oot",
        "oos",
        "dev",
        "eval",
        "evaluation",
        "mean",
        "avg",
    ]
)

_FOREIGN: Final = frozenset(
    [
        "id",
        "nr",
        "no",
        "number",
        "lfd",
        "lfdnr",
        "lfdno",
        "row",
        "rowid",
        "line",
        "pos",
        "key",
        "ticket",
        "jira",
        "jiraticket",
        "issue",
        "link",
        "url",
        "size",
        "filesize",
        "modelsize",
        "sizemb",
        "type",
        "modeltype",
        "typ",
        "algorithm",
        "algorithmus",
        "framework",
        "library",
        "language",
        "format",
        "priority",
        "risk",
        "riskclass",
        "risklevel",
        "department",
        "businessunit",
        "country",
        "region",
        "tags",
        "tag",
        "labels",
        "category",
        "trainingtime",
        "trainingduration",
        "duration",
        "runtime",
        "latency",
        "trainingsetsize",
        "trainingrows",
        "rows",
        "features",
        "targetvariable",
        "target",
        "label",
        "customer",
        "project",
        "projekt",
        "product",
        "system",
        "check",
        "composite",
        "compositeversion",
        "retentionuntil",
        "validationgates",
        "gates",
        "createdat",
        "created",
        "updated",
        "updatedat",
        "lastupdated",
        "lastmodified",
        "modified",
        "nextreview",
        "dataowner",
        "reviewdue",
        "cost",
        "price",
        "pythonversion",
        "frameworkversion",
        "libraryversion",
        "dockerimage",
        "image",
        "endpoint",
        "modelcard",
        "card",
        "documentation",
        "docs",
        "doc",
        "report",
        "archived",
        "expires",
        "expirydate",
        "monitoring",
        "drift",
        "alerts",
        "sla",
        "approvalstatus",
        "approvalid",
        "modelclass",
        "modelfamily",
    ]
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """What a heading may mean.

    ``field`` is set when the heading is known (``weak``: gives way to a surer one); ``choices`` when it must be asked,
    most likely first.
    """

    field: str | None = None
    weak: bool = False
    choices: tuple[str, ...] = ()


def compact(header: str) -> str:
    """Reduce a heading to what is compared: lower case, no accents, letters and digits only."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", clean(header))
    folded = unicodedata.normalize("NFKD", spaced.replace("\u00df", "ss")).casefold()
    return "".join(char for char in folded if char.isalnum())


@functools.cache
def _table() -> dict[str, tuple[str, bool]]:
    found: dict[str, tuple[str, bool]] = {}
    for name, line in _SYNONYMS.items():
        sure, _, weak = line.partition("|")
        for words, is_weak in ((sure, False), (weak, True)):
            for word in words.split(","):
                key = compact(word)
                if key:
                    found.setdefault(key, (name, is_weak))
        found.setdefault(compact(name), (name, False))
    return found


_PARENTHESES = re.compile(r"\([^)]*\)|\[[^\]]*\]")


def _spellings(header: str) -> tuple[str, ...]:
    """The heading, and the heading without what stands in parentheses, numbering or marks."""
    bare = _PARENTHESES.sub(" ", header)
    unnumbered = re.sub(r"^\s*\(?\d{1,2}[.):]\s*", "", bare)
    return tuple(dict.fromkeys(key for key in map(compact, (header, bare, unnumbered)) if key))


def match_header(header: str) -> Match:
    """Return what ``header`` means; an empty :class:`Match` for what means none of our fields."""
    text = clean(header)
    if not text or len(text) > 80:
        return Match()
    table = _table()
    for key in _spellings(text):
        if key in table:
            name, weak = table[key]
            return Match(field=name, weak=weak)
        if key in _AMBIGUOUS:
            return Match(choices=_AMBIGUOUS[key])
    metric = metric_header(text)
    if metric:
        return Match(field=f"metrics.{metric}")
    return Match(choices=_similar(text))


def metric_header(header: str) -> str | None:
    """Return the metric's name when the heading is one: ``AUC``, ``Test F1-Score``, ``Accuracy (%)``."""
    words = [word for word in re.split(r"[\s_/:()%\[\].-]+", clean(header).casefold()) if word]
    core = [word for word in words if word not in _SPLITS and not re.fullmatch(r"(top|at|k)?\d*", word)]
    if len(words) > 5 or compact("".join(core)) not in _METRICS:
        return None
    return "_".join(words)


def _similar(header: str) -> tuple[str, ...]:
    keys = _spellings(header)
    if not keys or len(keys[-1]) < 4 or any(key in _FOREIGN or key.rstrip("s") in _FOREIGN for key in keys):
        return ()
    found: list[str] = []
    for key in keys:
        close = difflib.get_close_matches(key, _table(), n=4, cutoff=0.84)
        found += [_table()[name][0] for name in close if len(name) >= 4]
    return tuple(dict.fromkeys(found))


def is_field(name: str) -> bool:
    """Tell whether ``name`` may stand in a mapping: a field, ``metrics.NAME`` or ``ignore``."""
    return name in FIELDS or name == IGNORE or (name.startswith("metrics.") and len(name) > 8)


_ORDER_HINTS = (
    (re.compile(r"(dd?|tt?|jj?)\s*[./ -]\s*mm?\s*[./ -]\s*(yy|jj|aa)", re.IGNORECASE), "day-first"),
    (re.compile(r"mm?\s*[./ -]\s*(dd?|tt?|jj?)\s*[./ -]\s*(yy|jj|aa)", re.IGNORECASE), "month-first"),
    (re.compile(r"(yy|jj|aa)\s*[./ -]\s*mm?\s*[./ -]\s*(dd?|tt?|jj?)", re.IGNORECASE), "year-first"),
)


def order_hint(header: str) -> str | None:
    """Return the order of day and month that the heading itself names: ``Trained on (dd/mm/yyyy)``."""
    inside = " ".join(_PARENTHESES.findall(header)) or header
    return next((order for pattern, order in _ORDER_HINTS if pattern.search(inside)), None)
