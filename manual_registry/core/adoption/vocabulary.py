"""The words that teams use: headings by field, metrics, and headings that mean none of our fields.

Only data; ``headers.py`` says how a heading is compared with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


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

#: field -> headings. The first are sure; those after "|" give way to a surer heading in the same table.
SYNONYMS: Final[Mapping[str, str]] = {
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
AMBIGUOUS: Final[Mapping[str, tuple[str, ...]]] = {
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

#: Metrics that have a column of their own, compared as headings are.
METRICS: Final = _words(
    """
    auc rocauc aucroc auroc prauc aucpr auprc accuracy acc balancedaccuracy f1 f1score fscore macrof1 microf1
    f1macro f1micro f2 precision recall sensitivity specificity tpr fpr tnr fnr npv ppv mcc kappa rmse mae mse mape
    smape r2 rsquared adjr2 logloss loss crossentropy gini ks ksstatistic brier brierscore ece lift map ndcg mrr
    bleu rouge rougel wer cer perplexity iou dice psi dpr demographicparity demographicparityratio
    demographicparitydifference dpd equalizedodds equalisedodds eod disparateimpact disparateimpactratio
    statisticalparity genauigkeit trefferquote exactitude exactitud precisionat5 recallat10
    """
)

#: Words beside a metric that say on what it was measured.
SPLITS: Final = _words(
    """
    test tst val valid validation train training cv crossval holdout oot oos dev eval evaluation mean avg
    """
)

#: Headings that mean none of our fields; nobody is asked about them.
FOREIGN: Final = _words(
    """
    id nr no number lfd lfdnr lfdno row rowid line pos key ticket jira jiraticket issue link url size filesize
    modelsize sizemb type modeltype typ algorithm algorithmus framework library language format priority risk
    riskclass risklevel department businessunit country region tags tag labels category trainingtime
    trainingduration duration runtime latency trainingsetsize trainingrows rows features targetvariable target label
    customer project projekt product system check composite compositeversion retentionuntil validationgates gates
    createdat created updated updatedat lastupdated lastmodified modified nextreview dataowner reviewdue cost price
    pythonversion frameworkversion libraryversion dockerimage image endpoint modelcard card documentation docs doc
    report archived expires expirydate monitoring drift alerts sla approvalstatus approvalid modelclass modelfamily
    """
)
