"""The rows of the database: what Cairn remembers. One noun a file."""

from app.models.account import Invitation, Organisation, Role, SignIn, SiteMember, User
from app.models.audit import AuditEvent
from app.models.book import BookEntry, BookKind
from app.models.delivery import Delivery, DeliverySource
from app.models.idempotency import IdempotencyKey
from app.models.inbox import Inbox
from app.models.material import Material, MaterialValue
from app.models.notice import Notice
from app.models.period import Period
from app.models.pile import Measurement, Pile, Toe
from app.models.report import ReportMail, ReportReader
from app.models.run import Run, RunState, StageRun
from app.models.site import Site
from app.models.survey import Photo, Survey, SurveyKind, SurveyState
from app.models.token import ApiToken
from app.models.upload import Upload
from app.models.webhook import Webhook, WebhookDelivery
from app.models.worker_node import WorkerNode

__all__ = [
    "ApiToken",
    "AuditEvent",
    "BookEntry",
    "BookKind",
    "Delivery",
    "DeliverySource",
    "IdempotencyKey",
    "Inbox",
    "Invitation",
    "Material",
    "MaterialValue",
    "Measurement",
    "Notice",
    "Organisation",
    "Period",
    "Photo",
    "Pile",
    "ReportMail",
    "ReportReader",
    "Role",
    "Run",
    "RunState",
    "SignIn",
    "Site",
    "SiteMember",
    "StageRun",
    "Survey",
    "SurveyKind",
    "SurveyState",
    "Toe",
    "Upload",
    "User",
    "Webhook",
    "WebhookDelivery",
    "WorkerNode",
]
