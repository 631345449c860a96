"""The service: everything that users do, behind one object. No HTTP here; the API adapts it."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import select

from superpose.errors import StoreError
from superpose.service.budgets.budgets import Budgets
from superpose.service.budgets.charges import Charges
from superpose.service.catalogue.aliases import Aliases
from superpose.service.catalogue.curation import Curation
from superpose.service.catalogue.datasets import Datasets
from superpose.service.catalogue.drift import Drifts
from superpose.service.catalogue.imports import Imports
from superpose.service.catalogue.lineage import Lineages
from superpose.service.catalogue.models import Models
from superpose.service.catalogue.modules import Modules
from superpose.service.catalogue.reports import Reports
from superpose.service.catalogue.sheets import DataSheets
from superpose.service.catalogue.uploads import Uploads
from superpose.service.catalogue.validations import Validations
from superpose.service.catalogue.version_diff import VersionDiffs
from superpose.service.config import ServiceConfig
from superpose.service.experiments.sweeps import Sweeps
from superpose.service.nouns import Clock, Principal, utc_now
from superpose.service.operations.measurements import Measurements
from superpose.service.operations.observing import Observing
from superpose.service.operations.restored import tell_of_it
from superpose.service.operations.tracing import tracer_for
from superpose.service.people.audit import Audit
from superpose.service.people.door import Door
from superpose.service.people.keys import Keys
from superpose.service.people.last_used import LastUsed
from superpose.service.people.projects import Projects
from superpose.service.people.quotas import Quotas
from superpose.service.people.residency import Residencies
from superpose.service.people.users import Users
from superpose.service.predictions.predictions import Predictions
from superpose.service.program_sets.program_sets import ProgramSets
from superpose.service.quantum_functions.calls import Calls
from superpose.service.quantum_functions.functions import QuantumFunctions
from superpose.service.quantum_functions.python import sandboxes_of
from superpose.service.serving.endpoints import Endpoints
from superpose.service.serving.loaded_models import LoadedModels
from superpose.service.solutions.solutions import Solutions
from superpose.service.statuses import FINAL
from superpose.service.store.artifacts import Artifacts
from superpose.service.store.database import Database
from superpose.service.store.datadir import DataDir
from superpose.service.store.job_store import JobStore
from superpose.service.store.referred import referred_artifacts
from superpose.service.store.tables import jobs
from superpose.service.webhooks.pending import Pending
from superpose.service.webhooks.sending import Sending
from superpose.service.webhooks.webhooks import Webhooks
from superpose.service.work.cpu_budget import CpuBudget
from superpose.service.work.file_jobs import JobFiles
from superpose.service.work.jobs import Jobs
from superpose.service.work.outputs import JobOutputs
from superpose.service.work.waits import Waits

__all__ = ["Service"]


class Service:
    """A service on a data directory; get one from ``Service.open`` and close it, or use it in a ``with``.

    All calls take the ``Principal`` that ``authenticate`` gave and are safe to make from several threads.

    Attributes:
        config: the settings.
        datasets: data sets.
        modules: users' own PyTorch modules, exported.
        imports: model files that were trained elsewhere.
        jobs: jobs.
        outputs: metrics and files that jobs left.
        sweeps: searches for a good training spec.
        predictions: batch predictions.
        program_sets: program sets.
        solutions: problems from logistics, solved.
        models: the model registry.
        uploads: files that arrive in several requests.
        drifts: how far rows have moved from a model's training data.
        aliases: names that stand for versions of models, and the histories of models.
        curation: notes, tags and deletion of models.
        validations: how versions did on rows of other sites.
        lineages: what comes from what.
        diffs: what sets two versions apart.
        reports: one page per training.
        endpoints: endpoints.
        functions: quantum functions.
        calls: calls of them.
        keys: API keys.
        projects: projects and their members.
        users: people and service accounts.
        quotas: what projects may use, and what they do.
        budgets: what jobs may cost, and what they did.
        residencies: where projects' programs may go.
        webhooks: addresses to which events of jobs are pushed.
        waits: how long programs have waited at providers.
        audit: who changed what.
        measurements: what is counted and timed, for Prometheus.
        tracer: where spans go.
        store: the queue that workers and the supervisor use.
    """

    def __init__(self, config: ServiceConfig, data_dir: DataDir, clock: Clock) -> None:
        self.config = config
        self._data_dir = data_dir
        self._clock = clock
        self._database = Database(data_dir.database_path, busy_timeout_s=config.busy_timeout_s, clock=clock)
        self._artifacts = Artifacts(data_dir, config.artifact_url)
        self.measurements = Measurements(self._database, clock)
        self.tracer = tracer_for(config, "superpose-server")
        self._most_threads: int | None = None
        self._loaded = LoadedModels(config, Observing(self.measurements, self.tracer))
        self.quotas = Quotas(self._database, size_of=self._artifacts.size, clock=clock)
        self.budgets = Budgets(self._database, clock=clock)
        self.residencies = Residencies(self._database, clock=clock)
        charges = Charges(
            clock,
            worker_second_usd=config.worker_second_usd,
            job_seconds=config.job_seconds,
            worker_threads=config.worker_threads,
        )
        self.store = JobStore.opened(self._database, config.job_rules, clock=clock, quotas=self.quotas, charges=charges)
        self._last_used = LastUsed(self._database, clock, coarse_s=config.key_used_s)
        self._door = Door(
            self._database,
            clock=clock,
            last_used=self._last_used,
            cache_s=config.cache_s,
            wrong_keys_per_minute=config.wrong_keys_per_minute,
        )
        forget = self._door.forget
        self.keys = Keys(self._database, clock=clock, max_key_days=config.max_key_days, changed=forget)
        self.projects = Projects(self._database, clock=clock, changed=forget)
        self.users = Users(self._database, clock=clock, changed=forget)
        self.waits = Waits(self._database, clock)
        self.audit = Audit(self._database)
        self.webhooks = Webhooks(
            self._database,
            data_dir.webhook_root_path,
            config.webhook_rules,
            clock=clock,
            steady=self.store.steady,
        )
        self.datasets = Datasets(self._database, self._artifacts, data_dir, config, clock, self.quotas)
        self.data_sheets = DataSheets(self._database, self.datasets, config.max_columns, clock)
        self.modules = Modules(self._database, self._artifacts, config, clock, self.quotas)
        self.models = Models(self._database, self._artifacts)
        self.jobs = Jobs(
            self._database,
            self.store,
            self.datasets,
            self.models,
            self.modules,
            config,
            self.quotas,
            self.residencies,
            charges.quote,
        )
        self.outputs = JobOutputs(self._database, self._artifacts, self.jobs.get, clock)
        self.sweeps = Sweeps(
            self._database, self.store, self.datasets, self.models, self.residencies, config, charges.quote
        )
        self.imports = Imports(self.store, self._artifacts, config, self.quotas)
        self.uploads = Uploads(data_dir, config)
        self.drifts = Drifts(self.models, self.datasets, config)
        files = JobFiles(self._database, self.store, self._artifacts, self.quotas, clock)
        self.predictions = Predictions(files, datasets=self.datasets, models=self.models)
        self.program_sets = ProgramSets(files, config=config, residencies=self.residencies)
        self.solutions = Solutions(files, config=config)
        self.aliases = Aliases(self._database, clock)
        self.curation = Curation(self._database, self._artifacts, clock)
        self.validations = Validations(self._database, clock)
        self.lineages = Lineages(self._database)
        self.diffs = VersionDiffs(self.models)
        self.endpoints = Endpoints(self._database, self.models, self._loaded, config, clock, steady=self.store.steady)
        self.reports = Reports(self.models, self.jobs.get, self.endpoints.gate.report, self.outputs.file)
        sandboxes = sandboxes_of(config)
        self.functions = QuantumFunctions(
            self._database, self._artifacts, config, clock, self.quotas, self.residencies, sandboxes
        )
        self.calls = Calls(self.functions, self.store, self.residencies, sandboxes, config)

    @classmethod
    def open(cls, config: ServiceConfig, *, exclusive: bool = True, clock: Clock = utc_now) -> Service:
        """Open a data directory, made and brought to the newest schema as needed.

        The first start mints an admin key into ``admin_key_path``.

        Args:
            config: the settings.
            exclusive: own the directory, as a server does; False to look into one beside its server.
            clock: what tells the time.

        Raises:
            StoreError: another server owns the directory, it holds something else, a newer release wrote it, or the
                disk takes no more; the message names the directory.
        """
        data_dir = DataDir(config.data_dir)
        if exclusive:
            data_dir.lock()
        try:
            service = cls(config, data_dir, clock)
            service.keys.mint_first(data_dir)
            if exclusive:
                tell_of_it(service._database, config.data_dir, clock)
                service._sweep()
        except StoreError as error:
            data_dir.unlock()
            place = str(config.data_dir)
            if place in error.message:
                raise
            raise type(error)(f"{error.message} The data directory is {place}.", **error.details) from error
        except BaseException:
            data_dir.unlock()
            raise
        return service

    @property
    def admin_key_path(self) -> Path:
        """The file of the first admin key, readable by its owner only."""
        return self._data_dir.admin_key_path

    @property
    def cpu_budget(self) -> CpuBudget:
        """The CPU threads of server and workers together."""
        config = self.config
        return CpuBudget(config.cpu_dir or self._data_dir.cpu, config.cpu_total, silent_s=config.lease_s)

    def sending(self, look_s: float = 0.25) -> Sending:
        """What sends to webhooks, while it is entered; a data directory has one.

        Args:
            look_s: time between two looks for new messages.
        """
        pending = Pending(self._database, self.config.webhook_rules, clock=self._clock, steady=self.store.steady)
        rules = self.config.webhook_rules
        return Sending(pending, self._data_dir.webhook_root_path, rules, clock=self._clock, look_s=look_s)

    def allow_threads(self, n: int) -> None:
        """Compute predictions on at most ``n`` threads from now on, in the engine and beside it."""
        from superpose.engine import get_threads, set_threads

        if self._most_threads is None:
            self._most_threads = get_threads()
        self._loaded.allow_threads(n)
        set_threads(min(n, self._most_threads))

    def authenticate(self, secret: str | None, source: str | None = None) -> Principal:
        """Whom an API key stands for.

        Args:
            secret: the key.
            source: the address it came from; too many wrong keys from one are told to wait.

        Raises:
            KeyMissingError: no key was given.
            KeyInvalidError: the key is unknown or revoked, or its user is disabled or no member any more.
            TooManyWrongKeysError: the same, after too many from one address.
            KeyExpiredError: the key's time is over.
            ProjectArchivedError: its project is archived.
        """
        return self._door.authenticate(secret, source)

    def close(self) -> None:
        """Let go of models, connections and the directory."""
        self.calls.close()
        self._loaded.close()
        self.tracer.close()
        self._last_used.flush()
        self._database.close()
        self._data_dir.unlock()

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _sweep(self) -> None:
        """Remove what crashes left behind: artifacts without a row, checkpoints of jobs that have ended."""
        with self._database.write() as connection:
            self._artifacts.sweep(referred_artifacts(connection))
        self.uploads.clear()
        self._artifacts.clear_staging()
        if self.config.artifact_url is not None:
            Artifacts(self._data_dir).clear_staging()  # files on their way in wait here, wherever they go
        found = self._data_dir.job_ids()  # before the query, so that a job claimed meanwhile is not among them
        with self._database.read() as connection:
            alive = set(connection.execute(select(jobs.c.id).where(jobs.c.status.not_in([*map(str, FINAL)]))).scalars())
        for job_id in set(found) - alive:
            self._data_dir.remove_job(job_id)
