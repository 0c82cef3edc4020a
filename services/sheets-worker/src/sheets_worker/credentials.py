"""Google's credentials from a mounted file: a service account, or a user's refresh token."""

import json
import threading
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

from google.auth.credentials import Credentials
from google.auth.exceptions import GoogleAuthError
from google.oauth2.credentials import Credentials as UserCredentials
from google.oauth2.service_account import Credentials as ServiceAccountCredentials
from mirsal_runtime.failures import ActionRequired

from sheets_worker.errors import Code

SHEETS_SCOPES: Final = ("https://www.googleapis.com/auth/spreadsheets",)
_KINDS = {"service_account", "authorized_user"}


class Identity(NamedTuple):
    """Whose quota a call counts for: names that give nothing away."""

    project: str
    user: str


class CredentialsSource(Protocol):
    """Whoever has credentials."""

    owner: str
    """Whose they are, as a person would say."""

    def read(self) -> tuple[Credentials, Identity]:
        """The credentials as they are now, and whose quota counts. Raises `ActionRequired`."""


class FixedCredentials:
    """Credentials that stay as they are."""

    def __init__(self, credentials: Credentials, identity: Identity, owner: str) -> None:
        self.owner = owner
        self._found = (credentials, identity)

    def read(self) -> tuple[Credentials, Identity]:
        """See `CredentialsSource`."""
        return self._found


class CredentialsFile:
    """The credentials in a file; a new file takes the place of the old one without a restart."""

    def __init__(self, path: Path | None, scopes: tuple[str, ...] = SHEETS_SCOPES) -> None:
        self.owner = "the installation"
        self._path = path
        self._scopes = scopes
        self._lock = threading.Lock()
        self._read_at: tuple[int, int] | None = None
        self._credentials: Credentials | None = None
        self._identity = Identity("", "")

    def read(self) -> tuple[Credentials, Identity]:
        """The credentials, and whose they are. Raises `ActionRequired`."""
        path = self._path
        if path is None:
            raise ActionRequired(
                Code.CREDENTIALS, "there are no credentials: set MIRSAL_GOOGLE_CREDENTIALS_FILE"
            )
        with self._lock:
            try:
                stamp = path.stat()
                version = (stamp.st_mtime_ns, stamp.st_ino)
                if self._credentials is None or version != self._read_at:
                    given = json.loads(path.read_text("utf-8"))
                    self._credentials = make_credentials(given, self._scopes)
                    self._identity = identity_of(given)
                    self._read_at = version
            except OSError as error:
                raise ActionRequired(
                    Code.CREDENTIALS,
                    f"the file of MIRSAL_GOOGLE_CREDENTIALS_FILE cannot be read: {error.strerror}",
                ) from None
            except ValueError:
                # Without the words of the error: they may hold parts of the key.
                raise ActionRequired(
                    Code.CREDENTIALS,
                    "the file of MIRSAL_GOOGLE_CREDENTIALS_FILE is no key of a service account "
                    "and no refresh token of a user (authorized_user)",
                ) from None
            return self._credentials, self._identity


def make_credentials(given: Any, scopes: tuple[str, ...]) -> Credentials:
    """The credentials of a file's content. Raises `ValueError`."""
    kind = given.get("type") if isinstance(given, dict) else None
    if kind not in _KINDS:
        raise ValueError("of another type")
    try:
        if kind == "service_account":
            account: Credentials = ServiceAccountCredentials.from_service_account_info(
                given, scopes=scopes
            )
            return account
        made = UserCredentials.from_authorized_user_info(given, scopes=scopes)
        uri = given.get("token_uri")
        user: Credentials = made.with_token_uri(uri) if isinstance(uri, str) else made
        return user
    except (GoogleAuthError, KeyError, TypeError, AttributeError) as error:
        raise ValueError("not understood") from error


def identity_of(given: dict[str, Any]) -> Identity:
    """Whose quota it is: that of the key's project, and of the account within it."""
    project = given.get("quota_project_id") or given.get("project_id") or given.get("client_id")
    user = given.get("client_email") or given.get("refresh_token")
    return Identity(_digest(project), _digest(user))


def _digest(text: object) -> str:
    return sha256(str(text).encode()).hexdigest()[:16]
