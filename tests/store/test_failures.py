"""What the libraries raise is understood; each error here is made by the library itself."""

import asyncio

import pytest

from engineroom.store.failures import explained, failure


def google(status: int) -> BaseException:
    """What gcsfs makes of an answer."""
    from gcsfs.retry import validate_response

    try:
        validate_response(status, b"told", "models/object")
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what is asked for
        return error
    raise AssertionError(f"{status} is no error")


def azure(status: int) -> BaseException:
    """What Azure's library makes of an answer."""
    from azure.core.exceptions import HttpResponseError

    error = HttpResponseError("told")
    error.status_code = status
    return error


def amazon(status: int) -> BaseException:
    """What s3fs makes of an answer."""
    from botocore.exceptions import ClientError
    from s3fs.errors import translate_boto_error

    codes = {403: "AccessDenied", 404: "NoSuchKey", 429: "SlowDown", 500: "InternalError", 503: "ServiceUnavailable"}
    answer = {"Error": {"Code": codes[status], "Message": "told"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    cause = ClientError(answer, "PutObject")
    error: BaseException = translate_boto_error(cause)
    error.__cause__ = None if error is cause else cause
    return error


@pytest.mark.parametrize("library", [google, azure, amazon], ids=lambda one: one.__name__)
@pytest.mark.parametrize(
    ("status", "kind"), [(403, "refused"), (404, "missing"), (429, "passing"), (500, "passing"), (503, "passing")]
)
def test_status_is_understood(library, status: int, kind: str) -> None:
    assert failure(library(status)).kind == kind


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ConnectionResetError("cut"), "passing"),
        (asyncio.TimeoutError(), "passing"),
        (FileNotFoundError(2, "No such file"), "missing"),
        (PermissionError(13, "Permission denied"), "refused"),
        (OSError(28, "No space left on device"), "broken"),
        (ValueError("nonsense"), "broken"),
    ],
    ids=lambda one: type(one).__name__ if isinstance(one, BaseException) else one,
)
def test_error_without_a_status_is_understood(error: BaseException, kind: str) -> None:
    assert failure(error).kind == kind


def test_message_is_one_line() -> None:
    told = str(explained(azure(500), "az://models", "write blobs/x"))
    assert told == "az://models: cannot write blobs/x: the store does not answer as it should (told). Try again later."
